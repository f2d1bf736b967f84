// Runs BullMQ on Redis' time. BullMQ uses the clock of the process to schedule and promote delayed jobs, so a job would
// run early or late when that clock is wrong or jumps. Here every time that BullMQ exchanges with Redis is Redis' own.

import {
  type BackendFactory,
  createRedisBackend,
  DelayedError,
  type Job,
  type Processor,
  Worker,
  type WorkerOptions,
} from 'bullmq';
import { endableBackend } from './endable-backend.ts';

/** Redis' time, ms. */
export type Now = () => number;

/**
 * Index of the current time among the arguments of BullMQ's scripts (6.7.0). Scripts that are not listed use the time
 * for display only.
 */
const TIME_AT: Readonly<Record<string, number>> = {
  moveToActive: 12,
  moveToDelayed: 12,
  moveToFinished: 15,
  retryJob: 12,
};

type Backend = ReturnType<typeof createRedisBackend>;

/** Carries out a command of BullMQ; it may wait before, and when Redis refuses it, wait and repeat it. */
export type Hold = <R>(run: () => Promise<R>, command: string) => Promise<R>;

/**
 * A BullMQ backend, for queues and workers, that uses `now` as the current time.
 * @param hold carries out the commands of `TIME_AT`: BullMQ itself repeats a refused fetch at once.
 */
export function backendBy(now: Now, hold: Hold = (run) => run()): BackendFactory<Backend> {
  return (...args) => {
    const backend = endableBackend(createRedisBackend(...args));
    const execCommand = backend.execCommand.bind(backend);
    backend.execCommand = (client, name, given) => {
      const at = TIME_AT[name];
      if (at === undefined) return execCommand(client, name, given);
      if (typeof given[at] !== 'number')
        throw new Error(`BullMQ calls ${name} with other arguments than in 6.7.0`);
      return hold(() => execCommand(client, name, given.with(at, now())), name);
    };
    const waitForJob = backend.waitForJob.bind(backend);
    backend.waitForJob = async (seconds) => {
      const marker = await waitForJob(seconds);
      // Due already. A score of 0 keeps the worker from comparing it with the clock of the process.
      return marker !== null && marker.score <= now() ? { ...marker, score: 0 } : marker;
    };
    return backend;
  };
}

/** A worker that waits for the next delayed job by Redis' time. */
export class TimedWorker extends Worker {
  readonly #now: Now;

  constructor(now: Now, name: string, processor: Processor, options: WorkerOptions, hold?: Hold) {
    super(name, processor, options, backendBy(now, hold));
    this.#now = now;
  }

  protected override getBlockTimeout(blockUntil: number): number {
    const until = blockUntil === 0 ? 0 : blockUntil - this.#now() + Date.now();
    return super.getBlockTimeout(until);
  }
}

/** Delays a running job by `ms`. @throws DelayedError always, which tells BullMQ that the job is delayed. */
export async function putOffJob(
  job: Pick<Job, 'moveToDelayed'>,
  ms: number,
  token: string | undefined,
): Promise<never> {
  // BullMQ subtracts the clock of the process again, so only the difference matters.
  await job.moveToDelayed(Date.now() + ms, token);
  throw new DelayedError();
}
