// Checks before a process starts: Redis answers, accepts our credentials and is suitable, and SECRETS_KEY opens the
// stored secrets.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { adoptShards } from '../store/maintenance/queue-layout.ts';
import {
  forgetSealingKey,
  missingSealingKeys,
  registerSealingKey,
} from '../store/maintenance/sealing-keys.ts';
import { RedisClock } from '../store/redis/clock.ts';
import { connect, isUnavailable, refusalOf } from '../store/redis/connection.ts';
import { MAX_CLOCK_DIFFERENCE_MS } from '../store/redis/due.ts';
import type { Sealer } from '../store/redis/sealing.ts';
import { addressOf, type RedisClient, serversOf } from '../store/redis/servers.ts';
import { describeTopology, type Topology } from '../store/redis/topology.ts';
import { PREFIX } from './process.ts';
import { checkRedis } from './redis-check.ts';
import { StartupFault } from './startup-fault.ts';

/** Longest wait for a Redis that does not answer, ms. The wait for one that loads its data has no limit. */
const REACH_LIMIT = 10_000;
/** Delay between two tries, ms. */
const PAUSE = 200;

interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What to check. */
export interface PreflightOptions {
  redis: Topology;
  /** Replicas that must confirm the process's writes; none by default. */
  durabilityReplicas?: number;
  /** Number of shards of the queues; one by default. */
  queueShards?: number;
  sealer: Sealer;
  /** Id of a sealing key that is lost for good. */
  lostKey: string | undefined;
  log: Log;
  /** Longest wait for a Redis that does not answer, ms. */
  reachLimit?: number;
}

/** Resolves when the process may start. @throws StartupFault with the reason why it may not and the remedy. */
export async function preflight(options: PreflightOptions): Promise<void> {
  const { sealer, lostKey, log, reachLimit = REACH_LIMIT } = options;
  const redis = await reach(options.redis, reachLimit, log);
  try {
    await Promise.all(
      serversOf(redis).map((server) =>
        checkRedis(server, PREFIX, log, { ...options, isCluster: options.redis.kind === 'cluster' }),
      ),
    );
    await checkClocks(serversOf(redis));
    await checkSealingKeys(redis, sealer, lostKey, log);
    await checkShards(redis, options.queueShards ?? 1);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === null) throw error;
    const at = describeTopology(options.redis);
    throw new StartupFault(`Redis at ${at} refuses writes: ${REFUSED[refusal] ?? refusal}`);
  } finally {
    redis.disconnect();
  }
}

const REFUSED: Readonly<Record<string, string>> = {
  READONLY: 'it is a read-only replica; set REDIS_URL to the primary',
  OOM: 'its memory is full; raise maxmemory',
  MISCONF: 'it cannot write to its disk; see its log',
  NOREPLICAS: 'it has too few replicas (min-replicas-to-write)',
};

async function checkSealingKeys(
  redis: RedisClient,
  sealer: Sealer,
  lostKey: string | undefined,
  log: Log,
): Promise<void> {
  const db = { redis, prefix: PREFIX, clock: new RedisClock(redis) };
  const missing = await missingSealingKeys(db, sealer);
  const needed = missing.filter((keyId) => keyId !== lostKey);
  if (needed.length > 0)
    throw new StartupFault(
      `SECRETS_KEY${sealer.keyIds.length > 1 ? ' and SECRETS_KEY_PREVIOUS do' : ' does'} not open all stored secrets. ` +
        `Needed: ${keyList(needed)}; given: ${keyList(sealer.keyIds)}. Set the right key, or both during a rotation ` +
        `(docs/operations.md). If a key is lost for good, SECRETS_KEY_LOST=<its id> gives up the secrets sealed with it`,
    );
  for (const keyId of missing)
    if (await forgetSealingKey(db, keyId))
      log.warn({ key_id: keyId }, 'secrets sealed with this key are given up');
  await registerSealingKey(db, sealer);
}

/** @throws StartupFault when processes with another number of shards are alive */
async function checkShards(redis: RedisClient, shards: number): Promise<void> {
  const clock = new RedisClock(redis);
  await clock.sync();
  const refused = await adoptShards({ redis, prefix: PREFIX, clock }, shards);
  if (refused === null) return;
  const count = refused.others.length;
  throw new StartupFault(
    `QUEUE_SHARDS is ${shards}, but ${count === 1 ? 'a process is' : `${count} processes are`} alive with another number ` +
      `(${[...new Set(refused.others.map((one) => one.queueShards))].join(', ')}): set QUEUE_SHARDS=${refused.shards}, ` +
      'or stop all processes to change it. One that was killed counts for 30 s',
  );
}

function keyList(ids: readonly string[]): string {
  return ids.map((id) => `key ${id}`).join(' and ');
}

/** Connects to Redis. @throws StartupFault when it does not answer in time or refuses the credentials. */
async function reach(topology: Topology, limit: number, log: Log): Promise<RedisClient> {
  const at = describeTopology(topology);
  const since = performance.now();
  const logged = new Set<string>();
  for (;;) {
    const { redis, failure, sentinelFailure } = await probe(topology);
    if (failure === null) return redis;
    redis.disconnect();
    if (/cluster support disabled/.test(failure.message))
      throw new StartupFault(`REDIS_URL names a Redis Cluster, but Redis at ${at} is none: use redis://`);
    if (sentinelFailure !== null && CREDENTIALS.test(sentinelFailure))
      throw new StartupFault(
        `a sentinel refuses SENTINEL_USERNAME or SENTINEL_PASSWORD (${sentinelFailure})`,
      );
    const isLoading = refusalOf(failure) !== null;
    if (!isLoading && !isUnavailable(failure)) throw new StartupFault(loginFault(failure, at));
    const reason = sentinelFailure ?? (failure.message || String(Reflect.get(failure, 'code')));
    if (!isLoading && performance.now() - since > limit)
      throw new StartupFault(
        `Redis at ${at} does not answer (${reason}): start it, or set REDIS_URL to its address`,
      );
    const message = isLoading
      ? 'waiting for Redis, which is not ready'
      : 'waiting for Redis, which does not answer';
    if (!logged.has(message)) log.info({ redis: at, reason }, message);
    logged.add(message);
    await sleep(PAUSE);
  }
}

/** @throws Error that counts as a refusal while some slots have no master */
async function requireOrder(redis: RedisClient): Promise<void> {
  const info = String(await redis.cluster('INFO'));
  if (!info.includes('cluster_state:ok')) throw new Error('CLUSTERDOWN some slots have no master');
}

/** @throws StartupFault when the clocks of the masters of a cluster differ too much: no time would be due on some of them */
async function checkClocks(servers: readonly Redis[]): Promise<void> {
  const before = performance.now();
  const times = await Promise.all(
    servers.map(async (server) => {
      const [seconds, micros] = await server.time();
      return { name: addressOf(server), ms: Number(seconds) * 1000 + Number(micros) / 1000 };
    }),
  );
  const error = performance.now() - before;
  const [first, ...others] = times.sort((one, other) => one.ms - other.ms);
  const last = others.at(-1);
  if (first === undefined || last === undefined) return;
  const difference = last.ms - first.ms - error;
  if (difference > MAX_CLOCK_DIFFERENCE_MS / 2)
    throw new StartupFault(
      `the clock of ${last.name} is ${Math.round(difference / 1000)} s ahead of that of ${first.name}: ` +
        'synchronize the clocks of all nodes of the cluster',
    );
}

/** Connects and sends a PING to all servers. @returns the first error, and the last of a sentinel; null for none. */
async function probe(topology: Topology) {
  let failure: Error | null = null;
  /** Says more than a rejected command, and is all there is of a wrong database number. One node of a cluster may be away. */
  let event: Error | null = null;
  let sentinelFailure: string | null = null;
  const redis = connect(topology, 'probe', (error) => {
    event ??= error;
  });
  redis.on('sentinelError', ({ message }: Error) => {
    sentinelFailure = message;
  });
  try {
    await redis.connect();
    for (const server of serversOf(redis)) await server.ping();
    if (topology.kind === 'cluster') await requireOrder(redis);
    else failure = event;
  } catch (error) {
    failure = event ?? (error instanceof Error ? error : new Error(String(error)));
  }
  return { redis, failure: failure as Error | null, sentinelFailure: sentinelFailure as string | null };
}

const CREDENTIALS = /NOAUTH|WRONGPASS|NOPERM/;

function loginFault({ message }: Error, at: string): string {
  if (/^WRONGPASS/.test(message)) return `Redis at ${at} rejects the user or password in REDIS_URL`;
  if (/NOAUTH/.test(message))
    return `Redis at ${at} requires a password: add it to REDIS_URL, as in redis://:password@host:6379`;
  return `Redis at ${at} cannot be used (${message}): check REDIS_URL`;
}
