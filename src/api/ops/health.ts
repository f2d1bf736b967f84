// Liveness, readiness and the description of the API, all without credentials.

import type Router from '@koa/router';
import { type Db, refusalOf } from '../../store/redis/connection.ts';
import type { Admission } from '../access/admission.ts';
import { ApiError } from '../http/problem.ts';

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
 * Checks whether Redis accepts writes, with a write that changes nothing because its key never exists. Concurrent callers
 * share one check.
 * @returns a function that resolves when Redis does. @throws ApiError 503 with the reason
 */
function writeProbe({ redis, prefix }: Db): () => Promise<void> {
  let underWay: Promise<void> | null = null;
  const probe = async () => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('Command timed out')), RESPONSE_LIMIT_MS);
    });
    try {
      await Promise.race([redis.set(`${prefix}:writable`, '1', 'XX'), late]);
    } catch (error) {
      const code = refusalOf(error);
      const detail =
        code === null ? 'Redis does not answer.' : `Redis rejects writes: ${REFUSED[code] ?? code}.`;
      throw new ApiError('unavailable', detail, { headers: { 'Retry-After': '2' } });
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

/**
 * Adds `/livez`, `/readyz` and `/openapi.json`. The first two have no rate limit: otherwise a flood of other
 * requests from the same network would make a healthy process look dead to its health checks.
 */
export function addOpenRoutes(
  router: Router,
  db: Db,
  admission: Admission,
  description: Record<string, unknown>,
): void {
  const openapi = JSON.stringify(description);
  const checkWrites = writeProbe(db);
  router.get('/livez', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  router.get('/readyz', async (ctx) => {
    await checkWrites();
    // Requests are served, but deadlines and expiries wait for the operator.
    ctx.body = db.clock.isFrozen
      ? {
          status: 'degraded',
          clock: 'held',
          reason: "Redis' clock has jumped: deadlines and expiries are paused",
        }
      : { status: 'ok' };
  });
  router.get('/openapi.json', (ctx) => {
    admission.countAnonymous(ctx);
    ctx.type = 'application/json';
    ctx.body = openapi;
  });
}
