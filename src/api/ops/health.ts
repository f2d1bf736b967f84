// Liveness, readiness and the description of the API, all without credentials.

import type Router from '@koa/router';
import type { Context } from 'koa';
import type { Db } from '../../store/redis/connection.ts';
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
  db: Db,
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
    ctx.body = withServer(openapi, originOf(ctx));
  });
}
