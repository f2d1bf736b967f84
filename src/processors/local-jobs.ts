// Runs new jobs at once in the process that relays them, which saves adding them to a queue, fetching them and finishing
// them there. This is only for jobs that the sweeper adds again when they are lost, for instance because the process dies:
// matches, verifications and first attempts of deliveries. A job for which there is no capacity, or that fails, is added to
// its queue and runs from there.

import { UnrecoverableError } from 'bullmq';
import type { NewJob, QueueName } from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import type { Log } from '../store/redis/log.ts';
import type { RunnableJob } from './job-guard.ts';
import { idsOf } from './job-tracing.ts';

/** Adds jobs: to their queues, or to run at once. */
export type AddJobs = Pick<Queues, 'add'>;

export class LocalJobs implements AddJobs {
  readonly #queues: AddJobs;
  readonly #runners: Record<QueueName, (job: RunnableJob, token: undefined) => Promise<void>>;
  readonly #limits: Readonly<Partial<Record<QueueName, number>>>;
  readonly #log: Log;
  /** By queue and id. */
  readonly #running = new Map<QueueName, Map<string, Promise<void>>>();
  #isClosing = false;

  /** @param limits most jobs of a queue that run at the same time; none of a queue that is left out. */
  constructor(options: {
    queues: AddJobs;
    runners: Record<QueueName, (job: RunnableJob, token: undefined) => Promise<void>>;
    limits: Readonly<Partial<Record<QueueName, number>>>;
    log: Log;
  }) {
    this.#queues = options.queues;
    this.#runners = options.runners;
    this.#limits = options.limits;
    this.#log = options.log;
  }

  /** Starts the jobs that can run now, without waiting for them, and adds the others to their queues. */
  async add(jobs: readonly NewJob[]): Promise<void> {
    await this.#queues.add(jobs.filter((job) => !this.#start(job)));
  }

  /** Finishes the running jobs; later ones are added to their queues. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all([...this.#running.values()].flatMap((all) => [...all.values()]));
  }

  /** Starts a job. A job that runs already is not started again. @returns false when it belongs in its queue */
  #start(job: NewJob): boolean {
    const { queue, name } = job;
    const { jobId } = job.opts;
    const running = this.#running.get(queue) ?? new Map<string, Promise<void>>();
    if (running.has(jobId)) return true;
    const canRun =
      isRepeated(job) && (job.opts.delay ?? 0) === 0 && running.size < (this.#limits[queue] ?? 0);
    if (!canRun || this.#isClosing) return false;
    const run = this.#run(job)
      .catch((error) =>
        this.#log.warn(
          { queue, job: name, ...idsOf(job.data), err: error },
          'job lost; the sweeper adds it again',
        ),
      )
      .finally(() => running.delete(jobId));
    this.#running.set(queue, running.set(jobId, run));
    return true;
  }

  async #run(job: NewJob): Promise<void> {
    const { queue, name, data, opts, known } = job;
    try {
      const cannotWait = () => Promise.reject(new Error('A job that has to wait belongs in its queue.'));
      const waiting = { moveToDelayed: cannotWait, updateData: cannotWait };
      const runnable = { name, data, queueName: queue, known, ...waiting };
      await this.#runners[queue](runnable, undefined);
    } catch (error) {
      const about = { queue, job_id: opts.jobId, job: name, ...idsOf(data) };
      // Its queue would not repeat it either.
      if (error instanceof UnrecoverableError) return this.#log.warn({ ...about, err: error }, 'job failed');
      this.#log.warn({ ...about, err: error }, 'job failed and is queued');
      await this.#queues.add([job]);
    }
  }
}

/** Whether the sweeper repeats the job when it is lost. */
function isRepeated({ queue, name }: NewJob): boolean {
  return name === 'match' || name === 'verify' || queue === 'webhooks';
}
