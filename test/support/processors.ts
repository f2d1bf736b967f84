// Starts the processors of a worker process, or single parts of them, on the Redis of the suite with the key prefix of a
// test.

import { randomBytes, randomUUID } from 'node:crypto';
import { Cluster, type Redis } from 'ioredis';
import { afterAll, onTestFinished } from 'vitest';
import { OutboxWatch } from '../../src/processors/outbox-watch.ts';
import { type ProcessorOptions, type Processors, startProcessors } from '../../src/processors/processors.ts';
import { Relay } from '../../src/processors/relay.ts';
import { Sweeper } from '../../src/processors/sweeper.ts';
import { Queues } from '../../src/queues/queues.ts';
import { queuePrefix } from '../../src/queues/shards.ts';
import { momentOf } from '../../src/state/tasks/due-moment.ts';
import { connectNear, connectSubscriber, type Db, whenReady } from '../../src/store/redis/connection.ts';
import { PARTITIONS, partitionKeys, partitionOf } from '../../src/store/redis/keys.ts';
import type { Log } from '../../src/store/redis/log.ts';
import { createSealer, type Sealer } from '../../src/store/redis/sealing.ts';
import { readTogether } from '../../src/store/redis/servers.ts';
import type { Topology } from '../../src/store/redis/topology.ts';
import { testTopology } from './redis.ts';

/** A log that prints only errors. */
export const ERRORS_ONLY: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: (fields, message) => console.error(message, fields),
};

/** The sealing key of a test file and of its processors, also in other processes. */
export const secretsKey = randomBytes(32);
export const sealer: Sealer = createSealer([secretsKey]);

export interface RunOptions extends Pick<ProcessorOptions, 'queueShards' | 'workerShards' | 'workerQueues'> {
  sweepEvery?: number;
  abandonedAfter?: number;
  orderBlockMs?: number;
  jobLock?: number;
}

/** Starts all processors; closed at the end of the test. */
export async function runProcessors(db: Db, options: RunOptions = {}): Promise<Processors> {
  const processors = await start(db, options);
  onTestFinished(() => processors.close());
  return processors;
}

/** Starts all processors for a file; called at its top level. */
export async function runProcessorsOfFile(db: Db, options: RunOptions = {}): Promise<Processors> {
  const processors = await start(db, options);
  afterAll(() => processors.close());
  return processors;
}

function start(db: Db, options: RunOptions): Promise<Processors> {
  return startProcessors({
    redis: testTopology(),
    prefix: db.prefix,
    sealer,
    webhookAllowedNetworks: ['127.0.0.0/8'],
    concurrency: 20,
    log: ERRORS_ONLY,
    ...options,
  });
}

/** Opens the queues without processors. @param atEnd of the test's own context, where tests run concurrently */
export function openQueues(
  db: Db,
  atEnd: (close: () => Promise<void>) => void = onTestFinished,
  shards = 1,
): Queues {
  const own: Redis[] = [];
  const connectionOf = (shard: number) => {
    if (!(db.redis instanceof Cluster)) return db.redis;
    const near = connectNear(
      `${queuePrefix(db.prefix, shard)}:x`,
      testTopology(),
      'patient',
      () => undefined,
    );
    own.push(near);
    return near;
  };
  const queues = new Queues({ connectionOf, prefix: db.prefix, shards, now: () => db.clock.now() });
  atEnd(async () => {
    await queues.close();
    for (const near of own) near.disconnect();
  });
  return queues;
}

export interface RelayOptions {
  redis?: Topology;
  consumer?: string;
  log?: Log;
  abandonedAfter?: number;
  countEvery?: number;
}

export interface RunningRelay {
  /** Entries relayed since the start. */
  readonly relayed: number;
  close(): Promise<void>;
}

/** Runs the relay of all partitions, in a cluster one for each, without processors: it adds jobs that nothing runs. */
export async function runRelay(db: Db, queues: Queues, options: RelayOptions = {}): Promise<RunningRelay> {
  const {
    redis = testTopology(),
    consumer = randomUUID(),
    log = ERRORS_ONLY,
    abandonedAfter = 60_000,
    countEvery = 50,
  } = options;
  const subscriber = connectSubscriber(redis, 'patient', () => undefined);
  await whenReady(subscriber);
  const watch = new OutboxWatch({ db, subscriber, abandonedAfter, countEvery });
  const relays = readTogether(db.redis, PARTITIONS).map(
    (read) => new Relay({ db, outboxes: watch.signalOf(read), queues, consumer, log, abandonedAfter }),
  );
  const close = async () => {
    await Promise.all(relays.map((relay) => relay.close()));
  };
  onTestFinished(async () => {
    watch.stop();
    await close();
    subscriber.disconnect();
  });
  await watch.start();
  for (const relay of relays) relay.start();
  return {
    get relayed() {
      return relays.reduce((sum, { relayed }) => sum + relayed, 0);
    },
    close,
  };
}

/** A sweeper that runs only when the test calls it. */
export function openSweeper(db: Db, queues: Queues): Sweeper {
  return new Sweeper({ db, queues, log: ERRORS_ONLY });
}

/** Number of outbox entries that are not relayed, over all partitions. */
export async function outboxLength(db: Db): Promise<number> {
  const lengths = await Promise.all(
    PARTITIONS.map((partition) => db.redis.xlen(partitionKeys(db.prefix, partition).outbox)),
  );
  return lengths.reduce((sum, one) => sum + one, 0);
}

/** Deletes all keys of BullMQ, like a flushed or restored Redis. */
export async function deleteAllJobs(db: Db): Promise<void> {
  const keys = await db.redis.keys(`${queuePrefix(db.prefix, 0).replace(/[{}]/g, '?')}:*`);
  if (keys.length > 0) await db.redis.del(...keys);
}

/** The same store with a clock that stands still at `then`, ms. */
export function withClockAt(db: Db, then: number): Db {
  const clock = {
    now: () => then,
    isFrozen: false,
    get offset() {
      return then - db.clock.now();
    },
    sync: async () => undefined,
  };
  return { ...db, clock };
}

/** The same store with a clock that stands still `ms` from now. */
export function withClockAhead(db: Db, ms: number): Db {
  return withClockAt(db, db.clock.now() + ms);
}

/** Id of the job of the moment in which a check of an org is due. @param at when it is due, ms */
export function momentJobId(orgId: string, at: number): string {
  return `moment-${partitionOf(orgId)}-${momentOf(at, 0)}-1`;
}
