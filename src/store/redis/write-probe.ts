// Whether Redis takes writes now, and if not, why: what a health check of a process asks.

import { type Db, refusalOf } from './connection.ts';
import { PARTITIONS, partitionKeys } from './keys.ts';
import { oneKeyEach, type RedisClient } from './servers.ts';

/** Longest wait for Redis, ms. */
const RESPONSE_LIMIT_MS = 1000;

/** Reasons why Redis rejects writes, by error code. */
const REFUSED: Readonly<Record<string, string>> = {
  OOM: 'its memory is full (maxmemory)',
  READONLY: 'it is a read-only replica',
  UNBLOCKED: 'it has just become a read-only replica',
  LOADING: 'it is loading its data',
  MISCONF: 'it cannot write to its disk',
  NOREPLICAS: 'it has too few replicas (min-replicas-to-write)',
  MASTERDOWN: 'it has lost its primary',
  CLUSTERDOWN: 'its cluster is down',
  TRYAGAIN: 'a slot of its cluster is moving',
  BUSY: 'it is busy with a script',
};

/** Why Redis does not take some writes. */
export interface WriteRefusal {
  /** A sentence. */
  reason: string;
  /** Whether other masters of a cluster take writes. */
  isPartial: boolean;
}

/**
 * Returns a function that checks whether Redis accepts writes, each master of a cluster, with a write that changes nothing
 * because its key never exists. It resolves to null when Redis does. Concurrent callers share one check.
 */
export function writeProbe({
  redis,
  prefix,
}: Pick<Db, 'redis' | 'prefix'>): () => Promise<WriteRefusal | null> {
  let underWay: Promise<WriteRefusal | null> | null = null;
  const keys = PARTITIONS.map((partition) => partitionKeys(prefix, partition).writable);
  const probe = async () => {
    const asked = oneKeyEach(redis, keys);
    const reasons = (await Promise.all(asked.map((key) => whyRefused(redis, key)))).filter(
      (reason) => reason !== null,
    );
    const [reason] = reasons;
    if (reason === undefined) return null;
    const isPartial = reasons.length < asked.length;
    return {
      reason: isPartial ? `${reasons.length} of ${asked.length} nodes: ${reason}` : reason,
      isPartial,
    };
  };
  return () => {
    underWay ??= probe().finally(() => {
      underWay = null;
    });
    return underWay;
  };
}

/** Why a key cannot be written, as a sentence; null when it can. */
async function whyRefused(redis: RedisClient, key: string): Promise<string | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('Command timed out')), RESPONSE_LIMIT_MS);
  });
  try {
    await Promise.race([redis.set(key, '1', 'XX'), late]);
    return null;
  } catch (error) {
    const code = refusalOf(error);
    return code === null ? 'Redis does not answer.' : `Redis rejects writes: ${REFUSED[code] ?? code}.`;
  } finally {
    clearTimeout(timer);
  }
}
