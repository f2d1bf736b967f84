// Liveness, readiness and the description of the API, all without credentials.

import type Router from '@koa/router';
import type { Context } from 'koa';
import type { Db } from '../../store/redis/connection.ts';
import type { MemoryWatch } from '../../store/redis/memory-watch.ts';
import { writeProbe } from '../../store/redis/write-probe.ts';
import type { Admission } from '../access/admission.ts';
import { withServer } from '../docs/openapi.ts';
import { ApiError } from '../http/problem.ts';

/**
 * Adds `/livez`, `/readyz` and `/openapi.json`. The first two have no rate limit: otherwise a flood of other
 * requests from the same network would make a healthy process look dead to its health checks.
 * @param description the OpenAPI document. @param originOf the server's URL, as the client has it
 */
export function addOpenRoutes(
  router: Router,
  { db, memory }: { db: Db; memory: MemoryWatch },
  admission: Admission,
  description: Record<string, unknown>,
  originOf: (ctx: Context) => string,
): void {
  const openapi = JSON.stringify(description);
  const whyNotWritable = writeProbe(db);
  router.get('/livez', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  router.get('/readyz', async (ctx) => {
    const reason = await whyNotWritable();
    if (reason !== null) throw new ApiError('unavailable', reason, { headers: { 'Retry-After': '2' } });
    // The process still serves requests: an operator must act, but no load balancer.
    const reasons = [
      ...(db.clock.isFrozen ? ["Redis' clock has jumped: deadlines and expiries are paused"] : []),
      ...(memory.isHigh ? ["Redis' memory is above its high-water mark: creates are refused"] : []),
    ];
    ctx.body =
      reasons.length === 0
        ? { status: 'ok' }
        : {
            status: 'degraded',
            ...(db.clock.isFrozen && { clock: 'held' }),
            ...(memory.isHigh && { memory: 'high' }),
            reason: reasons.join('; '),
          };
  });
  router.get('/openapi.json', (ctx) => {
    admission.countAnonymous(ctx);
    ctx.type = 'application/json';
    ctx.body = withServer(openapi, originOf(ctx));
  });
}
