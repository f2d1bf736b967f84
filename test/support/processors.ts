// Processors as a worker process runs them, started by a test on the suite's Redis under the keys of its
// store and closed with it; and single parts of them, for tests that want to hold the others still.
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, onTestFinished } from 'vitest';
import { type Processors, startProcessors } from '../../src/processors/processors.ts';
import { Relay } from '../../src/processors/relay.ts';
import { Sweeper } from '../../src/processors/sweeper.ts';
import { Queues, queuePrefix } from '../../src/queues/queues.ts';
import { connect, type Db, whenReady } from '../../src/store/redis/connection.ts';
import { PARTITIONS, partitionKeys } from '../../src/store/redis/keys.ts';
import type { Log } from '../../src/store/redis/log.ts';
import { createSealer, type Sealer } from '../../src/store/redis/sealing.ts';
import { testRedisUrl } from './redis.ts';

/** Says nothing but what is wrong. */
export const QUIET: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (fields, message) => console.error(message, fields),
};

/** What seals all that a test file seals and its processors open, be they in its process or in others. */
export const secretsKey = randomBytes(32);
export const sealer: Sealer = createSealer([secretsKey]);

export interface RunOptions {
  sweepEvery?: number;
  abandonedAfter?: number;
  orderedHold?: number;
  jobLock?: number;
}

/** Starts all processors; closed when the test is over. */
export async function runProcessors(db: Db, options: RunOptions = {}): Promise<Processors> {
  const processors = await start(db, options);
  onTestFinished(() => processors.close());
  return processors;
}

/** Starts all processors for a whole file; call it where the file begins. */
export async function runProcessorsOfFile(db: Db, options: RunOptions = {}): Promise<Processors> {
  const processors = await start(db, options);
  afterAll(() => processors.close());
  return processors;
}

function start(db: Db, options: RunOptions): Promise<Processors> {
  return startProcessors({
    redisUrl: testRedisUrl(),
    prefix: db.prefix,
    sealer,
    webhookAllowedNetworks: ['127.0.0.0/8'],
    concurrency: 20,
    log: QUIET,
    ...options,
  });
}

/** The queues alone: nothing works on what is in them. */
export function openQueues(db: Db): Queues {
  const queues = new Queues(db.redis, db.prefix, () => db.clock.now());
  onTestFinished(() => queues.close());
  return queues;
}

/** A relay alone: jobs are made, nothing works on them. */
export async function runRelay(db: Db, queues: Queues, abandonedAfter = 60_000): Promise<Relay> {
  const blocking = connect(testRedisUrl(), 'patient', () => undefined);
  await whenReady(blocking);
  const relay = new Relay({ db, blocking, queues, consumer: randomUUID(), log: QUIET, abandonedAfter });
  onTestFinished(async () => {
    // It sits in a read of a second, which ends with its connection.
    const closed = relay.close();
    blocking.disconnect();
    await closed;
  });
  await relay.start();
  return relay;
}

/** A sweeper that sweeps when it is told to. */
export function openSweeper(db: Db, queues: Queues): Sweeper {
  return new Sweeper({ db, queues, log: QUIET });
}

/** Entries that no relay has done with yet, over all partitions. */
export async function outboxLength(db: Db): Promise<number> {
  const lengths = await Promise.all(
    PARTITIONS.map((partition) => db.redis.xlen(partitionKeys(db.prefix, partition).outbox)),
  );
  return lengths.reduce((sum, one) => sum + one, 0);
}

/** Takes away all that BullMQ keeps, as a flushed or restored Redis would. */
export async function loseJobs(db: Db): Promise<void> {
  const keys = await db.redis.keys(`${queuePrefix(db.prefix).replace(/[{}]/g, '?')}:*`);
  if (keys.length > 0) await db.redis.del(...keys);
}

/** The store with a clock that stands still at `then`, ms: the same data, seen from then. */
export function seenAt(db: Db, then: number): Db {
  const clock = {
    now: () => then,
    isHeld: false,
    get offset() {
      return then - db.clock.now();
    },
    sync: async () => undefined,
  };
  return { ...db, clock };
}

/** The store as it is seen `ms` from now. */
export function later(db: Db, ms: number): Db {
  return seenAt(db, db.clock.now() + ms);
}
