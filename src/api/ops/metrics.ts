// `/metrics` for Prometheus: durations of requests, and counts read from Redis at each scrape. Each app has its own
// registry, so that tests can run several in one process.

import type { Middleware } from 'koa';
import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { QUEUES } from '../../queues/catalogue.ts';
import type { Queues } from '../../queues/queues.ts';
import { countSetAside } from '../../store/maintenance/dead-entries.ts';
import type { Db } from '../../store/redis/connection.ts';
import { PARTITIONS, partitionKeys } from '../../store/redis/keys.ts';
import type { MemoryWatch } from '../../store/redis/memory-watch.ts';

export interface Metrics {
  /** Measures every request; must be placed outside the error middleware. */
  middleware: Middleware;
  /** Content type and text of a scrape. */
  scrape(): Promise<{ type: string; text: string }>;
}

export function createMetrics(db: Db, queues: Queues, memory: MemoryWatch): Metrics {
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
    help: 'Jobs of a queue by state; failed: recent failures and jobs that fail repeatedly',
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
    help: "1 while Redis' clock has jumped and deadlines and expiries are paused",
    registers: [registry],
    collect() {
      this.set(db.clock.isFrozen ? 1 : 0);
    },
  });
  new Gauge({
    name: 'biolayer_redis_memory_bytes',
    help: 'Memory that Redis uses',
    registers: [registry],
    collect() {
      if (memory.last !== null) this.set(memory.last.used);
    },
  });
  new Gauge({
    name: 'biolayer_redis_memory_limit_bytes',
    help: 'maxmemory of Redis; 0 without a limit',
    registers: [registry],
    collect() {
      if (memory.last !== null) this.set(memory.last.limit ?? 0);
    },
  });
  new Gauge({
    name: 'biolayer_creates_refused',
    help: "1 while creates are refused because Redis' memory is above its high-water mark",
    registers: [registry],
    collect() {
      this.set(memory.isHigh ? 1 : 0);
    },
  });
  new Gauge({
    name: 'biolayer_outbox_entries',
    help: 'Outbox entries that the relay has not turned into jobs yet',
    registers: [registry],
    async collect() {
      this.set(await total(PARTITIONS.map((one) => db.redis.xlen(partitionKeys(db.prefix, one).outbox))));
    },
  });
  new Gauge({
    name: 'biolayer_deliveries_pending',
    help: 'Pending webhook deliveries',
    registers: [registry],
    async collect() {
      this.set(
        await total(PARTITIONS.map((one) => db.redis.zcard(partitionKeys(db.prefix, one).pendingDeliveries))),
      );
    },
  });
  new Gauge({
    name: 'biolayer_notices_pending',
    help: 'Notices to workers that are not settled',
    registers: [registry],
    async collect() {
      this.set(
        await total(PARTITIONS.map((one) => db.redis.zcard(partitionKeys(db.prefix, one).pendingNotices))),
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
    help: 'Dead entries: outbox entries, index members and records that could not be processed',
    registers: [registry],
    async collect() {
      this.set((await countSetAside(db.redis, db.prefix)).dead);
    },
  });
  new Gauge({
    name: 'biolayer_newer_entries',
    help: 'Outbox entries of a newer format version that wait for a newer process',
    registers: [registry],
    async collect() {
      this.set((await countSetAside(db.redis, db.prefix)).newer);
    },
  });
  new Gauge({
    name: 'biolayer_replays_running',
    help: 'Running replays to webhook endpoints',
    registers: [registry],
    async collect() {
      this.set(await total(PARTITIONS.map((one) => db.redis.zcard(partitionKeys(db.prefix, one).replays))));
    },
  });
  new Gauge({
    name: 'biolayer_bulk_actions_running',
    help: 'Bulk actions that are pending or running',
    registers: [registry],
    async collect() {
      this.set(
        await total(PARTITIONS.map((one) => db.redis.zcard(partitionKeys(db.prefix, one).bulkActions))),
      );
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
