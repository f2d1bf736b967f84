// Checks before a process starts: Redis answers, accepts our credentials and is suitable, and SECRETS_KEY opens the
// stored secrets.

import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import {
  forgetSealingKey,
  missingSealingKeys,
  registerSealingKey,
} from '../store/maintenance/sealing-keys.ts';
import { RedisClock } from '../store/redis/clock.ts';
import { isUnavailable, refusalOf } from '../store/redis/connection.ts';
import type { Sealer } from '../store/redis/sealing.ts';
import { PREFIX } from './process.ts';
import { checkRedis } from './redis-check.ts';
import { StartupFault } from './startup-fault.ts';

/** Longest wait for a Redis that does not answer, ms. The wait for one that loads its data has no limit. */
const REACH_LIMIT = 10_000;
/** Delay between two tries, ms. */
const PAUSE = 200;
/** Time limit of a connection attempt and of a command, ms. */
const ANSWER_LIMIT = 2000;

interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** What to check. */
export interface PreflightOptions {
  redisUrl: string;
  sealer: Sealer;
  /** Id of a sealing key that is lost for good. */
  lostKey: string | undefined;
  log: Log;
  /** Longest wait for a Redis that does not answer, ms. */
  reachLimit?: number;
}

/** Resolves when the process may start. @throws StartupFault with the reason why it may not and the remedy. */
export async function preflight(options: PreflightOptions): Promise<void> {
  const { redisUrl, sealer, lostKey, log, reachLimit = REACH_LIMIT } = options;
  const redis = await reach(redisUrl, reachLimit, log);
  try {
    await checkRedis(redis, PREFIX, log);
    await checkSealingKeys(redis, sealer, lostKey, log);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === null) throw error;
    throw new StartupFault(`Redis at ${addressOf(redisUrl)} refuses writes: ${REFUSED[refusal] ?? refusal}`);
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
  redis: Redis,
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

function keyList(ids: readonly string[]): string {
  return ids.map((id) => `key ${id}`).join(' and ');
}

/** Connects to Redis. @throws StartupFault when it does not answer in time or refuses the credentials. */
async function reach(url: string, limit: number, log: Log): Promise<Redis> {
  const at = addressOf(url);
  const since = performance.now();
  const logged = new Set<string>();
  for (;;) {
    const redis = new Redis(url, {
      lazyConnect: true,
      enableReadyCheck: false,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      connectTimeout: ANSWER_LIMIT,
      commandTimeout: ANSWER_LIMIT,
    });
    const failure = await failureOf(redis);
    if (failure === null) return redis;
    redis.disconnect();
    const isLoading = refusalOf(failure) !== null;
    if (!isLoading && !isUnavailable(failure)) throw new StartupFault(loginFault(failure, url));
    const reason = failure.message || String(Reflect.get(failure, 'code'));
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

/** Connects and sends a PING. @returns the error; null when it succeeded. */
async function failureOf(redis: Redis): Promise<Error | null> {
  let failure: Error | null = null;
  redis.on('error', (error) => {
    failure ??= error;
  });
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    failure ??= error instanceof Error ? error : new Error(String(error));
  }
  return failure;
}

function loginFault({ message }: Error, url: string): string {
  const at = addressOf(url);
  if (/^WRONGPASS/.test(message)) return `Redis at ${at} rejects the user or password in REDIS_URL`;
  if (/NOAUTH/.test(message))
    return `Redis at ${at} requires a password: set REDIS_URL to redis://:password@${at}`;
  return `Redis at ${at} cannot be used (${message}): check REDIS_URL`;
}

/** Host and port, without the credentials in the URL. */
function addressOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || '6379'}`;
}
