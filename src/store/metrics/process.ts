// Metrics that every kind of process has: what it is, and how often its connection was lost.

import { Counter, collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import type { RedisClient } from '../redis/servers.ts';

/**
 * Adds the metrics of Node, the version, and the reconnections of `redis`.
 * @param version of the software
 */
export function addProcessMetrics(registry: Registry, redis: RedisClient, version: string): void {
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'biolayer_build_info',
    help: 'Always 1; the version of the software and of Node',
    labelNames: ['version', 'node'],
    registers: [registry],
  }).set({ version, node: process.versions.node }, 1);
  const reconnects = new Counter({
    name: 'biolayer_redis_reconnects_total',
    help: 'Lost connections to Redis that were established again',
    registers: [registry],
  });
  let wasReady = redis.status === 'ready';
  redis.on('ready', () => {
    if (wasReady) reconnects.inc();
    wasReady = true;
  });
}
