// Liveness, readiness and the description of the API, all without credentials.

import type Router from '@koa/router';
import type { Context } from 'koa';
import { describeGaps } from '../../state/operation/coverage.ts';
import { processesAlive } from '../../store/metrics/heartbeat.ts';
import { writeProbe } from '../../store/redis/write-probe.ts';
import type { Admission } from '../access/admission.ts';
import type { ApiDeps } from '../deps.ts';
import { withServer } from '../docs/openapi.ts';
import { ApiError } from '../http/problem.ts';

/**
 * Adds `/livez`, `/readyz` and `/openapi.json`. The first two have no rate limit: otherwise a flood of other
 * requests from the same network would make a healthy process look dead to its health checks.
 * @param describe makes the OpenAPI document, at the first request for it.
 * @param originOf the server's URL, as the client has it
 */
export function addOpenRoutes(
  router: Router,
  { db, memory, replicas, coverage }: Pick<ApiDeps, 'db' | 'memory' | 'replicas' | 'coverage'>,
  admission: Admission,
  describe: () => Record<string, unknown>,
  originOf: (ctx: Context) => string,
): void {
  let openapi: string | undefined;
  const whyNotWritable = writeProbe(db);
  router.get('/livez', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  router.get('/readyz', async (ctx) => {
    const refusal = await whyNotWritable();
    if (refusal !== null && !refusal.isPartial)
      throw new ApiError('unavailable', refusal.reason, { headers: { 'Retry-After': '2' } });
    const processes = await processesAlive(db);
    // Without any worker process there is no gap between them; `biolayer doctor` and the metrics tell of that.
    const gaps = processes.some((one) => one.kind === 'worker') ? describeGaps(coverage(processes)) : null;
    const isUnconfirmed = replicas !== null && !replicas.isConfirmed;
    // The process still serves requests: an operator must act, but no load balancer.
    const reasons = [
      ...(refusal === null ? [] : [refusal.reason]),
      ...(db.clock.isFrozen ? ["Redis' clock has jumped: deadlines and expiries are paused"] : []),
      ...(memory.isHigh ? ["Redis' memory is above its high-water mark: creates are refused"] : []),
      ...(isUnconfirmed ? ['too few replicas confirm writes: changes are answered with 503'] : []),
      ...(gaps === null ? [] : [`no worker process takes ${gaps}`]),
    ];
    ctx.body =
      reasons.length === 0
        ? { status: 'ok' }
        : {
            status: 'degraded',
            ...(refusal !== null && { redis: 'partial' }),
            ...(db.clock.isFrozen && { clock: 'held' }),
            ...(memory.isHigh && { memory: 'high' }),
            ...(isUnconfirmed && { replicas: 'unconfirmed' }),
            ...(gaps !== null && { queues: 'not taken' }),
            reason: reasons.join('; '),
          };
  });
  router.get('/openapi.json', (ctx) => {
    admission.countAnonymous(ctx);
    openapi ??= JSON.stringify(describe());
    ctx.type = 'application/json';
    ctx.body = withServer(openapi, originOf(ctx));
  });
}
