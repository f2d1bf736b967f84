// `/metrics`, `/livez` and `/readyz` of a worker process, which serves no API. They need no credential, so they listen on an
// address of their own that only the operator's network reaches.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Router from '@koa/router';
import Koa from 'koa';
import type { Db } from '../store/redis/connection.ts';
import { writeProbe } from '../store/redis/write-probe.ts';
import { listenError } from './startup-fault.ts';

export interface StatusServer {
  url: string;
  close(): Promise<void>;
}

/**
 * Serves the status of a process.
 * @param scrape content type and text of its metrics.
 * @throws StartupFault when it cannot listen.
 */
export async function startStatusServer(
  { host, port }: { host: string; port: number },
  { db, scrape }: { db: Db; scrape: () => Promise<{ type: string; text: string }> },
): Promise<StatusServer> {
  const router = new Router({ strict: true });
  const whyNotWritable = writeProbe(db);
  router.get('/livez', (ctx) => {
    ctx.body = { status: 'ok' };
  });
  router.get('/readyz', async (ctx) => {
    const refusal = await whyNotWritable();
    ctx.status = refusal === null || refusal.isPartial ? 200 : 503;
    ctx.body =
      refusal === null
        ? { status: 'ok' }
        : { status: refusal.isPartial ? 'degraded' : 'unavailable', reason: refusal.reason };
  });
  router.get('/metrics', async (ctx) => {
    const { type, text } = await scrape();
    ctx.set('Content-Type', type);
    ctx.body = text;
  });
  const app = new Koa();
  app.use(router.routes()).use(router.allowedMethods());
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000 }, app.callback());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port, 'METRICS_')));
    server.listen(port, host, resolve);
  });
  const { port: chosen } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${chosen}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}
