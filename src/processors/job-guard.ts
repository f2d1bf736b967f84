// Reads jobs before their processor runs them. A job that cannot be run fails at once, where it is seen, instead of being
// retried for hours. A job of a newer format version is left to a newer process.

import { type Job, UnrecoverableError } from 'bullmq';
import type { Jobs, NewJob, QueueName } from '../queues/catalogue.ts';
import { readJob } from '../queues/read-job.ts';
import { putOffJob, TimedWorker } from '../queues/redis-time.ts';
import { isObject } from '../state/text/forms.ts';
import type { Db } from '../store/redis/connection.ts';
import { UnreadableRecord } from '../store/redis/unreadable.ts';

/** Shortest delay of a job of a newer format version, ms; another process may take it then. */
const LEFT_ALONE = 5_000;

/** What running a job needs of it. `known`: see `NewJob`. */
export type RunnableJob = Pick<
  Job,
  'name' | 'data' | 'queueName' | 'attemptsMade' | 'moveToDelayed' | 'updateData'
> &
  Pick<NewJob, 'known'>;

/** Runs a job that was read. @param job to put it off. @param token BullMQ's, of the lock. */
export type RunJob<Q extends QueueName> = (
  read: Jobs[Q],
  job: RunnableJob,
  token: string | undefined,
) => Promise<void>;

/** Runs a job as BullMQ hands it over: a processor of BullMQ. */
export type RunUnread = (job: RunnableJob, token: string | undefined) => Promise<void>;

/**
 * The BullMQ processor of a queue.
 * @param onBroken called when the record of a job is damaged.
 */
export function guardJobs<Q extends QueueName>(
  db: Db,
  queue: Q,
  run: RunJob<Q>,
  onBroken: (read: Jobs[Q]) => Promise<unknown> = async () => undefined,
): RunUnread {
  return async (job, token) => {
    if (hasFailed(job.data) && job.attemptsMade === 0) throw new UnrecoverableError(job.data.failure);
    const read = readJob(queue, job);
    if (read.kind === 'newer') return leave(job, token);
    if (read.kind === 'broken') {
      if (isRepaired(job.data)) await job.updateData(job.data);
      throw new UnrecoverableError(`The job cannot be run: ${read.reason}.`);
    }
    try {
      await run(read.value, job, token);
    } catch (error) {
      if (!(error instanceof UnreadableRecord)) throw error;
      if (error.kind === 'newer') return leave(job, token);
      db.onUnreadable?.(error);
      await onBroken(read.value);
      throw new UnrecoverableError(error.message);
    }
  };
}

interface Failed {
  /** Why the job failed for good, when it ran without its queue. */
  failure: string;
}

/** The same job, which fails with this reason when its queue runs it first, so that it is among the failed jobs there. */
export function failing(job: NewJob, failure: string): NewJob {
  const data: object = { ...job.data, failure };
  return { ...job, data } as NewJob;
}

function hasFailed(data: unknown): data is Failed {
  return isObject(data) && typeof data.failure === 'string';
}

function leave(job: RunnableJob, token: string | undefined): Promise<never> {
  return putOffJob(job, LEFT_ALONE * (1 + Math.random()), token);
}

interface Repaired {
  /** The data of the job as stored. */
  unreadable: string;
}

function isRepaired(data: unknown): data is Repaired {
  return typeof data === 'object' && data !== null && 'unreadable' in data;
}

/**
 * A BullMQ worker that also takes jobs whose data are not JSON, on which BullMQ would throw each time it reads them. The
 * data are kept as text in new data, so the job can fail and be inspected.
 */
export class TolerantWorker extends TimedWorker {
  protected override createJob(...[json, id]: Parameters<TimedWorker['createJob']>): Job {
    try {
      return super.createJob(json, id);
    } catch {
      const data: Repaired = { unreadable: String(json.data) };
      const { stacktrace: _stacktrace, returnvalue: _returnvalue, ...rest } = json;
      return super.createJob({ ...rest, returnvalue: '', data: JSON.stringify(data) }, id);
    }
  }
}
