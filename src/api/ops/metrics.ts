// `/metrics` for Prometheus: durations of requests, what this process has changed, and the state that all processes share
// (`state-metrics.ts`). Each app has its own registry, so that tests can run several in one process.

import type { Middleware } from 'koa';
import { Histogram, Registry } from 'prom-client';
import { countChanges } from '../../store/metrics/changes.ts';
import { addProcessMetrics } from '../../store/metrics/process.ts';
import { addStateMetrics, type Shared } from './state-metrics.ts';

export interface Metrics {
  /** Measures every request; must be placed outside the error middleware. */
  middleware: Middleware;
  /** Content type and text of a scrape. */
  scrape(): Promise<{ type: string; text: string }>;
}

export function createMetrics(shared: Shared): Metrics {
  const { db, version } = shared;
  const registry = new Registry();
  addProcessMetrics(registry, db.redis, version);
  countChanges(db, registry);
  const requests = new Histogram({
    name: 'biolayer_http_request_duration_seconds',
    help: 'Time to answer a request',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 60],
    registers: [registry],
  });
  addStateMetrics(registry, shared);
  return {
    async middleware(ctx, next) {
      const start = performance.now();
      await next();
      const matched = (ctx as { _matchedRoute?: unknown })._matchedRoute;
      const route = typeof matched === 'string' ? matched : 'none';
      requests.observe({ method: ctx.method, route, status: ctx.status }, (performance.now() - start) / 1000);
    },
    async scrape() {
      return { type: registry.contentType, text: await registry.metrics() };
    },
  };
}
