// BullMQ by Redis' time. BullMQ goes by the clock of the process: it counts a delay from it, and promotes what is due by
// it. Where two clocks differ, or one jumps, a job would come hours early or late. Here every time that BullMQ sends
// to Redis or is told by it is Redis' own, as all our processes follow it.

import {
  type BackendFactory,
  createRedisBackend,
  DelayedError,
  type Job,
  type Processor,
  Worker,
  type WorkerOptions,
} from 'bullmq';

/** Redis' time, ms. */
export type Now = () => number;

/**
 * Where in the arguments of BullMQ's scripts (6.7.0) the time of the call stands: behind the keys and one argument
 * more. Other scripts use theirs to be shown only.
 */
const TIME_AT: Readonly<Record<string, number>> = {
  moveToActive: 12,
  moveToDelayed: 12,
  moveToFinished: 15,
  retryJob: 12,
};

type Backend = ReturnType<typeof createRedisBackend>;

/** Makes what queues and workers talk to Redis through. */
export function backendBy(now: Now): BackendFactory<Backend> {
  return (...args) => {
    const backend = createRedisBackend(...args);
    const execCommand = backend.execCommand.bind(backend);
    backend.execCommand = (client, name, given) => {
      const at = TIME_AT[name];
      if (at === undefined) return execCommand(client, name, given);
      if (typeof given[at] !== 'number') throw new Error(`BullMQ calls ${name} in another way`);
      return execCommand(client, name, given.with(at, now()));
    };
    const waitForJob = backend.waitForJob.bind(backend);
    backend.waitForJob = async (seconds) => {
      const marker = await waitForJob(seconds);
      // Due now: the worker would compare it with the process' own clock.
      return marker !== null && marker.score <= now() ? { ...marker, score: 0 } : marker;
    };
    return backend;
  };
}

/** A worker that waits for the next delayed job by Redis' time. */
export class TimedWorker extends Worker {
  readonly #now: Now;

  constructor(now: Now, name: string, processor: Processor, options: WorkerOptions) {
    super(name, processor, options, backendBy(now));
    this.#now = now;
  }

  protected override getBlockTimeout(blockUntil: number): number {
    const until = blockUntil === 0 ? 0 : blockUntil - this.#now() + Date.now();
    return super.getBlockTimeout(until);
  }
}

/** Puts a job that is being worked on off by `ms`. @throws DelayedError, which tells BullMQ so. */
export async function putOffJob(
  job: Pick<Job, 'moveToDelayed'>,
  ms: number,
  token: string | undefined,
): Promise<never> {
  // BullMQ takes the difference to this process' clock, whatever that says.
  await job.moveToDelayed(Date.now() + ms, token);
  throw new DelayedError();
}
