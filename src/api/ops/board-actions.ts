// What the operator can do on the board: retry failed jobs, and remove jobs that have failed or are complete. Each action is
// first recorded in the audit logs of the orgs whose jobs it concerns, so that there is no action without its entry.

import type { Job, Queue } from 'bullmq';
import type { Logger } from 'pino';
import { QUEUES, type QueueName } from '../../queues/catalogue.ts';
import type { Queues } from '../../queues/queues.ts';
import { newAuditEvent } from '../../state/audit/audit.ts';
import { commitAudited } from '../../store/audit/audit-log.ts';
import { loadOrg } from '../../store/identity/orgs.ts';
import { EMPTY_CHANGE } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { nullIfUnreadable } from '../../store/redis/unreadable.ts';
import { ApiError } from '../http/problem.ts';

type Finished = 'failed' | 'completed';

/** An action on one job, or on all jobs of a queue that are `failed` or `completed`. */
export interface BoardAction {
  shard: number;
  queue: QueueName;
  does: 'retry' | 'clean';
  jobs: { id: string } | { state: Finished };
}

/** Most jobs of one action; the operator repeats it for more. */
const MAX_JOBS = 1000;

/** The name of a queue on the board: `tasks.bulk`, or `shard3.tasks.bulk` where there are several shards. */
const NAME = String.raw`^\/api\/queues\/(?:shard(\d+)\.)?(?:\w+\.)?(\w+)`;
const ONE = new RegExp(String.raw`${NAME}\/([^/]+)\/(retry|clean)(?:\/failed)?$`);
const ALL = new RegExp(String.raw`${NAME}\/(retry|clean)\/(failed|completed)$`);

/** The action that a request of the board's page asks for; null when there is no such action. */
export function actionOf(path: string): BoardAction | null {
  const [, shardOfAll, all, allDoes, state] = ALL.exec(path) ?? [];
  if (all !== undefined) {
    const isOffered = allDoes === 'clean' || state === 'failed';
    return isOffered ? action(shardOfAll, all, allDoes, { state: state as Finished }) : null;
  }
  const [, shard, queue, id = '', does] = ONE.exec(path) ?? [];
  return queue === undefined ? null : action(shard, queue, does, { id: decoded(id) });
}

/** A part of a path; as it is when it is malformed, and then no job has this id. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function action(
  shard: string | undefined,
  queue: string,
  does: string | undefined,
  jobs: BoardAction['jobs'],
): BoardAction | null {
  const name = QUEUES.find((one) => one === queue);
  if (name === undefined) return null;
  return { shard: Number(shard ?? 0), queue: name, does: does === 'retry' ? 'retry' : 'clean', jobs };
}

/** Carries out actions of the operator. @returns a function that answers as the board's page expects it. */
export function operatorActions(
  db: Db,
  queues: Queues,
  log: Logger,
): (action: BoardAction) => Promise<object> {
  return async ({ shard, queue: name, does, jobs: wanted }) => {
    const queue = queues.shards[shard]?.all[name];
    if (queue === undefined) throw new ApiError('not_found', 'There is no such queue.');
    const jobs =
      'id' in wanted ? [await finishedJob(queue, wanted.id, does)] : await pageOf(queue, wanted.state);
    await audit(db, name, does, jobs);
    let done = 0;
    for (const job of jobs) if (await actOn(job, does)) done += 1;
    log.warn({ shard, queue: name, action: does, jobs: done, ...wanted }, 'the operator acted on jobs');
    if ('id' in wanted && done === 0) throw conflict();
    return { [does === 'retry' ? 'retried' : 'removed']: done, skipped: jobs.length - done };
  };
}

/** @throws ApiError 404, or 409 when the action is not for the state of the job */
async function finishedJob(queue: Queue, id: string, does: BoardAction['does']): Promise<Job> {
  const job: Job | undefined = await queue.getJob(id);
  if (job === undefined) throw new ApiError('not_found', 'There is no such job.');
  const state = await job.getState();
  if (state !== 'failed' && !(state === 'completed' && does === 'clean')) throw conflict();
  return job;
}

async function pageOf(queue: Queue, state: Finished): Promise<Job[]> {
  const jobs: (Job | undefined)[] = await queue.getJobs([state], 0, MAX_JOBS - 1, true);
  return jobs.filter((job) => job !== undefined);
}

/** Records the action in the log of each org that has one of the jobs. */
async function audit(
  db: Db,
  queue: QueueName,
  does: BoardAction['does'],
  jobs: readonly Job[],
): Promise<void> {
  const byOrg = new Map<string, Job[]>();
  for (const job of jobs) {
    const orgId = String(Object(job.data).org_id);
    byOrg.set(orgId, [...(byOrg.get(orgId) ?? []), job]);
  }
  for (const [orgId, own] of byOrg) {
    // A damaged job may name no org; the log of the process has the action.
    if ((await nullIfUnreadable(db, () => loadOrg(db, orgId))) === null) continue;
    const [only, ...others] = own;
    const action = does === 'retry' ? 'job.retried' : 'job.removed';
    const target = others.length === 0 ? ['job', `${queue}/${only?.id}`] : ['queue', queue];
    const event = newAuditEvent('operator', action, target[0] ?? '', target[1] ?? '');
    await commitAudited(db, orgId, { ...event, data: { queue, jobs: own.length } }, EMPTY_CHANGE);
  }
}

/** @returns false when the job has changed meanwhile: it was retried, or it runs. */
async function actOn(job: Job, does: BoardAction['does']): Promise<boolean> {
  try {
    await (does === 'retry' ? job.retry('failed') : job.remove());
    return true;
  } catch {
    return false;
  }
}

function conflict(): ApiError {
  return new ApiError('conflict', 'The job has not ended, or it cannot be retried.');
}
