// Logs outages of Redis: one line when it becomes unavailable, one a minute while it stays so, one when it is back.
// Connections retry several times a second, and each retry emits an error.

import { Cluster, type Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { isUnavailable } from './connection.ts';
import type { Log as FullLog } from './log.ts';
import type { RedisClient } from './servers.ts';

type Log = Pick<FullLog, 'info' | 'warn'>;

/** How long the same line is not repeated, ms. */
const QUIET = 60_000;

export class OutageLog {
  readonly #log: Log;
  /** Lines that were written recently. */
  readonly #recent = new LRUCache<string, true>({ max: 100, ttl: QUIET });
  #isAway = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Listener for the `error` events of connections, and of queues and workers on them. */
  readonly onError = (error: Error): void => {
    const isAway = isUnavailable(error);
    const reason = error.message || String(Reflect.get(error, 'code') ?? error.name);
    if (isAway) this.#isAway = true;
    if (!this.#isDue(isAway ? 'away' : reason)) return;
    this.#log.warn({ reason }, isAway ? 'Redis is unavailable, trying again' : 'Redis error');
  };

  /** Logs when the connection is ready again after an outage. @returns the connection */
  watch<T extends RedisClient>(redis: T): T {
    redis.on('ready', this.#onReady);
    // A cluster stays connected while one of its nodes is away.
    if (redis instanceof Cluster) redis.on('+node', (node: Redis) => node.on('ready', this.#onReady));
    return redis;
  }

  readonly #onReady = (): void => {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#recent.clear();
    this.#log.info({}, 'Redis is available again');
  };

  #isDue(text: string): boolean {
    if (this.#recent.has(text)) return false;
    this.#recent.set(text, true);
    return true;
  }
}
