// The BullMQ workers of a process: one for each queue and shard that it takes. The workers of a queue share its number of
// parallel jobs.

import type { WorkerOptions } from 'bullmq';
import { backoff, type QueueName } from '../queues/catalogue.ts';
import type { Hold, Now } from '../queues/redis-time.ts';
import { queuePrefix, type ShardConnections } from '../queues/shards.ts';
import type { Log } from '../store/redis/log.ts';
import { type RunUnread, TolerantWorker } from './job-guard.ts';
import { idsOf } from './job-tracing.ts';
import type { ParallelLimit } from './parallel-limit.ts';
import type { WriteGate } from './write-gate.ts';

/** Default of `jobLock` for each queue, ms. */
const LOCK: Record<QueueName, number> = {
  lifecycle: 10_000,
  sla: 10_000,
  webhooks: 20_000,
  retries: 20_000,
  bulk: 20_000,
  notifications: 20_000,
};
/** How often a worker looks for jobs whose process has died, ms. */
const STALL_CHECK = 5_000;
/** How long a worker of an empty queue waits for a job before it looks again, s: the longest wait that BullMQ allows. */
const WAIT = 10;

export interface QueueWorkerOptions {
  connectionOf: ShardConnections;
  prefix: string;
  /** The shards that the process takes. */
  shards: readonly number[];
  /** The queues that the process takes, with the limit of the jobs that run at the same time in all their shards. */
  limits: ReadonlyMap<QueueName, ParallelLimit>;
  runners: Record<QueueName, RunUnread>;
  gate: WriteGate;
  /** A job whose process no longer renews its lock is taken over after this, ms. */
  jobLock: number | undefined;
  now: Now;
  log: Log;
  onError: (error: Error) => void;
}

export interface QueueWorkers {
  /** Resolves when all workers take jobs. */
  ready(): Promise<unknown>;
  /** Stops taking jobs and resolves when the running ones are finished. */
  close(): Promise<unknown>;
}

/** Starts the workers. */
export function startQueueWorkers(options: QueueWorkerOptions): QueueWorkers {
  const workers = [...options.limits].flatMap(([name, limit]) =>
    options.shards.map((shard) => startWorker(options, name, shard, limit)),
  );
  return {
    ready: () => Promise.all(workers.map((worker) => worker.waitUntilReady())),
    close: () => Promise.all(workers.map((worker) => worker.close())),
  };
}

function startWorker(
  { connectionOf, prefix, runners, gate, jobLock, now, log, onError }: QueueWorkerOptions,
  name: QueueName,
  shard: number,
  limit: ParallelLimit,
): TolerantWorker {
  const lockDuration = jobLock ?? LOCK[name];
  const options: WorkerOptions = {
    connection: connectionOf(shard),
    prefix: queuePrefix(prefix, shard),
    concurrency: limit.most,
    drainDelay: WAIT,
    lockDuration,
    stalledInterval: Math.min(STALL_CHECK, lockDuration),
    // A job is repeated however often the process that runs it is killed.
    maxStalledCount: 1000,
    settings: { backoffStrategy: backoff },
  };
  const hold: Hold = (run, command) =>
    command === 'moveToActive' ? limit.whenFree(() => gate.pass(run)) : gate.pass(run);
  const worker = new TolerantWorker(now, name, limit.counted(runners[name]), options, hold);
  worker.on('error', onError);
  worker.on('failed', (job, error) => {
    const about = { queue: name, shard, job_id: job?.id, job: job?.name, ...idsOf(job?.data) };
    log.warn({ ...about, err: error }, 'job failed');
  });
  return worker;
}
