// What must hold before a process starts: Redis is there, lets us in and is fit, and SECRETS_KEY opens what it holds.

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

/** Of a Redis that is not there, ms. One that loads its data is waited for without limit. */
const REACH_LIMIT = 10_000;
/** Between two tries, ms. */
const PAUSE = 200;
/** The longest a connection, and an answer, may take, ms. */
const ANSWER_LIMIT = 2000;

interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface PreflightOptions {
  redisUrl: string;
  sealer: Sealer;
  /** Id of a sealing key that is lost for good. */
  lostKey: string | undefined;
  log: Log;
  /** How long a Redis that is not there is waited for, ms. */
  patience?: number;
}

/** Resolves when a process may start. @throws StartupFault that says why it may not, and what to do */
export async function preflight(options: PreflightOptions): Promise<void> {
  const { redisUrl, sealer, lostKey, log, patience = REACH_LIMIT } = options;
  const redis = await reach(redisUrl, patience, log);
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
      `SECRETS_KEY${sealer.keyIds.length > 1 ? ' and SECRETS_KEY_PREVIOUS are' : ' is'} not what Redis was sealed with. ` +
        `Needed: ${keyList(needed)}; given: ${keyList(sealer.keyIds)}. Set the right key, or both while it is changed ` +
        `(docs/operations.md). If a key is lost for good, SECRETS_KEY_LOST=<its id> gives up what it sealed`,
    );
  for (const keyId of missing)
    if (await forgetSealingKey(db, keyId)) log.warn({ key_id: keyId }, 'what this key sealed is given up');
  await registerSealingKey(db, sealer);
}

function keyList(ids: readonly string[]): string {
  return ids.map((id) => `key ${id}`).join(' and ');
}

/** A connection to a Redis that answers. @throws StartupFault when there is none in time, or it does not let us in */
async function reach(url: string, patience: number, log: Log): Promise<Redis> {
  const at = addressOf(url);
  const since = performance.now();
  const told = new Set<string>();
  for (;;) {
    const redis = new Redis(url, {
      lazyConnect: true,
      enableReadyCheck: false,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      connectTimeout: ANSWER_LIMIT,
      commandTimeout: ANSWER_LIMIT,
    });
    const failure = await tryOut(redis);
    if (failure === null) return redis;
    redis.disconnect();
    const isLoading = refusalOf(failure) !== null;
    if (!isLoading && !isUnavailable(failure)) throw new StartupFault(refusedEntry(failure, url));
    const reason = failure.message || String(Reflect.get(failure, 'code'));
    if (!isLoading && performance.now() - since > patience)
      throw new StartupFault(
        `Redis at ${at} does not answer (${reason}): start it, or set REDIS_URL to where it is`,
      );
    const words = isLoading
      ? 'waiting for Redis, which is not ready'
      : 'waiting for Redis, which does not answer';
    if (!told.has(words)) log.info({ redis: at, reason }, words);
    told.add(words);
    await sleep(PAUSE);
  }
}

/** What keeps the connection from being used; null when it can be. */
async function tryOut(redis: Redis): Promise<Error | null> {
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

function refusedEntry({ message }: Error, url: string): string {
  const at = addressOf(url);
  if (/^WRONGPASS/.test(message)) return `Redis at ${at} does not know the user or password in REDIS_URL`;
  if (/NOAUTH/.test(message))
    return `Redis at ${at} asks for a password: set REDIS_URL to redis://:password@${at}`;
  return `Redis at ${at} cannot be used (${message}): check REDIS_URL`;
}

/** Host and port, without what is secret in the URL. */
function addressOf(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port || '6379'}`;
}
