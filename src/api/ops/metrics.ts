// `/metrics` for Prometheus: requests as they are answered, and what is waiting in Redis at the time of the
// scrape. A registry for each app, so that several can live in one process.

import type { Middleware } from 'koa';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { QUEUES } from '../../queues/catalogue.ts';
import type { Queues } from '../../queues/queues.ts';
import { countSetAside } from '../../store/maintenance/dead-entries.ts';
import type { Db } from '../../store/redis/connection.ts';
import { PARTITIONS, partitionKeys } from '../../store/redis/keys.ts';

export interface Metrics {
  /** Times every request; goes outside the error handler's work. */
  middleware: Middleware;
  /** The scrape: content type and text. */
  scrape(): Promise<{ type: string; text: string }>;
}

export function createMetrics(db: Db, queues: Queues): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const requests = new Histogram({
    name: 'biolayer_http_request_duration_seconds',
    help: 'Time to answer a request',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 60],
    registers: [registry],
  });
  new Gauge({
    name: 'biolayer_jobs',
    help: 'Jobs of a queue by state; failed: of the last minutes, and those that still fail when run once more',
    labelNames: ['queue', 'state'],
    registers: [registry],
    async collect() {
      for (const name of QUEUES) {
        const counts = await queues.all[name].getJobCounts(
          'wait',
          'prioritized',
          'active',
          'delayed',
          'failed',
        );
        for (const [state, count] of Object.entries(counts)) this.set({ queue: name, state }, count);
      }
    },
  });
  new Gauge({
    name: 'biolayer_clock_held',
    help: "1 while Redis' clock has jumped and nothing ends by time",
    registers: [registry],
    collect() {
      this.set(db.clock.isHeld ? 1 : 0);
    },
  });
  new Gauge({
    name: 'biolayer_outbox_entries',
    help: 'Commits the relay has yet to turn into jobs',
    registers: [registry],
    async collect() {
      this.set(await total(PARTITIONS.map((one) => db.redis.xlen(partitionKeys(db.prefix, one).outbox))));
    },
  });
  new Gauge({
    name: 'biolayer_deliveries_pending',
    help: 'Webhook deliveries not settled yet',
    registers: [registry],
    async collect() {
      this.set(
        await total(PARTITIONS.map((one) => db.redis.zcard(partitionKeys(db.prefix, one).pendingDeliveries))),
      );
    },
  });
  new Gauge({
    name: 'biolayer_dead_letters',
    help: 'Webhook deliveries that were given up',
    registers: [registry],
    async collect() {
      this.set(await total(PARTITIONS.map((one) => db.redis.zcard(partitionKeys(db.prefix, one).dead))));
    },
  });
  new Gauge({
    name: 'biolayer_dead_entries',
    help: 'Entries, members of indexes and records that cannot be used and were set aside',
    registers: [registry],
    async collect() {
      this.set((await countSetAside(db.redis, db.prefix)).dead);
    },
  });
  new Gauge({
    name: 'biolayer_newer_entries',
    help: 'Outbox entries that wait for a process which knows their form',
    registers: [registry],
    async collect() {
      this.set((await countSetAside(db.redis, db.prefix)).newer);
    },
  });
  new Gauge({
    name: 'biolayer_replays_running',
    help: 'Replays to webhook endpoints under way',
    registers: [registry],
    async collect() {
      this.set(await total(PARTITIONS.map((one) => db.redis.zcard(partitionKeys(db.prefix, one).replays))));
    },
  });
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

async function total(counts: Promise<number>[]): Promise<number> {
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}
