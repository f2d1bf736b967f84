// Liveness, readiness and the description of the API: open to anybody.

import type Router from '@koa/router';
import type { Db } from '../store/redis.ts';
import { docsPage } from './docs.ts';
import type { Gate } from './gate.ts';
import { ApiError } from './problem.ts';

const PING_LIMIT = 1000;

/**
 * Adds `/livez`, `/readyz`, `/openapi.json` and `/docs`. The first two are never limited: whoever asks for them
 * would take a process for dead for another's flood.
 */
export function addOpenRoutes(
  router: Router,
  db: Db,
  gate: Gate,
  description: Record<string, unknown>,
): void {
  const openapi = JSON.stringify(description);
  const page = docsPage(description);
  router.get('/livez', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  router.get('/readyz', async (ctx) => {
    const timeout = new Promise<never>((_, reject) => {
      setTimeout(() => reject(new Error('Command timed out')), PING_LIMIT).unref();
    });
    try {
      await Promise.race([db.redis.ping(), timeout]);
    } catch {
      throw new ApiError('unavailable', 'Redis does not answer.', { headers: { 'Retry-After': '2' } });
    }
    ctx.body = { status: 'ok' };
  });
  router.get('/openapi.json', (ctx) => {
    gate.countStranger(ctx);
    ctx.type = 'application/json';
    ctx.body = openapi;
  });
  router.get('/docs', (ctx) => {
    gate.countStranger(ctx);
    ctx.set(
      'Content-Security-Policy',
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    );
    ctx.type = 'text/html';
    ctx.body = page;
  });
}
