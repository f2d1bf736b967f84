// Runs new jobs at once in the process that relays them, which saves adding them to a queue, fetching them and finishing
// them there. This is only for jobs that the sweeper adds again when they are lost, for instance because the process dies:
// matches, verifications and first attempts of deliveries. A job for which there is no capacity, or that fails, is added to
// its queue and runs from there; one that failed for good is added to be seen among the failed jobs.

import { UnrecoverableError } from 'bullmq';
import type { NewJob, QueueName } from '../queues/catalogue.ts';
import type { AddJobs } from '../queues/queues.ts';
import type { Log } from '../store/redis/log.ts';
import { failing, type RunnableJob } from './job-guard.ts';
import { idsOf } from './job-tracing.ts';
import type { ParallelLimit } from './parallel-limit.ts';

/** The jobs that the sweeper adds again when they are lost. */
const REPEATED: Readonly<Partial<Record<QueueName, readonly string[]>>> = {
  lifecycle: ['match', 'verify'],
  webhooks: ['deliver'],
};

export class LocalJobs implements AddJobs {
  readonly #queues: AddJobs;
  readonly #runners: Record<QueueName, (job: RunnableJob, token: undefined) => Promise<void>>;
  readonly #limits: ReadonlyMap<QueueName, ParallelLimit>;
  readonly #log: Log;
  /** By queue and id. */
  readonly #running = new Map<string, Promise<void>>();
  #isClosing = false;

  /** @param limits of the queues that this process takes, which its workers share; jobs of other queues are not run. */
  constructor(options: {
    queues: AddJobs;
    runners: Record<QueueName, (job: RunnableJob, token: undefined) => Promise<void>>;
    limits: ReadonlyMap<QueueName, ParallelLimit>;
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
    await Promise.all(this.#running.values());
  }

  /** Starts a job. A job that runs already is not started again. @returns false when it belongs in its queue */
  #start(job: NewJob): boolean {
    const { queue, name } = job;
    const key = `${queue} ${job.opts.jobId}`;
    if (this.#running.has(key)) return true;
    const canRun = REPEATED[queue]?.includes(name) && (job.opts.delay ?? 0) === 0 && !this.#isClosing;
    const run = canRun ? this.#limits.get(queue)?.runIfFree(() => this.#run(job)) : null;
    if (!run) return false;
    const ended = run
      .catch((error) =>
        this.#log.warn(
          { queue, job: name, ...idsOf(job.data), err: error },
          'job lost; the sweeper adds it again',
        ),
      )
      .finally(() => this.#running.delete(key));
    this.#running.set(key, ended);
    return true;
  }

  async #run(job: NewJob): Promise<void> {
    const { queue, name, data, opts, known } = job;
    try {
      const cannotWait = () => Promise.reject(new Error('A job that has to wait belongs in its queue.'));
      const waiting = { moveToDelayed: cannotWait, updateData: cannotWait };
      const runnable = { name, data, queueName: queue, attemptsMade: 0, known, ...waiting };
      await this.#runners[queue](runnable, undefined);
    } catch (error) {
      const about = { queue, job_id: opts.jobId, job: name, ...idsOf(data) };
      this.#log.warn({ ...about, err: error }, 'job failed and is queued');
      await this.#queues.add([error instanceof UnrecoverableError ? failing(job, error.message) : job]);
    }
  }
}
