// Whether Redis takes writes now, and if not, why: what a health check of a process asks.

import { type Db, refusalOf } from './connection.ts';

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
  BUSY: 'it is busy with a script',
};

/**
 * Returns a function that checks whether Redis accepts writes, with a write that changes nothing because its key never
 * exists. It resolves to null when Redis does, otherwise to a sentence that says why not. Concurrent callers share one check.
 */
export function writeProbe({ redis, prefix }: Pick<Db, 'redis' | 'prefix'>): () => Promise<string | null> {
  let underWay: Promise<string | null> | null = null;
  const probe = async () => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('Command timed out')), RESPONSE_LIMIT_MS);
    });
    try {
      await Promise.race([redis.set(`${prefix}:writable`, '1', 'XX'), late]);
      return null;
    } catch (error) {
      const code = refusalOf(error);
      return code === null ? 'Redis does not answer.' : `Redis rejects writes: ${REFUSED[code] ?? code}.`;
    } finally {
      clearTimeout(timer);
    }
  };
  return () => {
    underWay ??= probe().finally(() => {
      underWay = null;
    });
    return underWay;
  };
}
