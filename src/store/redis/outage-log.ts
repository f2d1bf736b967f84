// What the log says of a Redis that is away: one line when it goes, one a minute while it stays away, one when it is
// back. Connections retry several times a second, and each retry is an error of its own.

import type { Redis } from 'ioredis';
import { isUnavailable } from './connection.ts';

interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** How long a line is not repeated, ms. */
const QUIET = 60_000;

export class OutageLog {
  readonly #log: Log;
  /** When each text was written last, by `performance.now()`. */
  readonly #writtenAt = new Map<string, number>();
  #isAway = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Listener of the `error` events of connections, and of what works on them. */
  readonly onError = (error: Error): void => {
    const isAway = isUnavailable(error);
    const reason = error.message || String(Reflect.get(error, 'code') ?? error.name);
    if (isAway) this.#isAway = true;
    if (!this.#isDue(isAway ? 'away' : reason)) return;
    this.#log.warn({ reason }, isAway ? 'Redis is unavailable, trying again' : 'Redis');
  };

  /** Says when the connection is ready again after an outage. @returns the connection */
  watch<T extends Redis>(redis: T): T {
    redis.on('ready', () => {
      if (!this.#isAway) return;
      this.#isAway = false;
      this.#writtenAt.clear();
      this.#log.info({}, 'Redis is available again');
    });
    return redis;
  }

  #isDue(text: string): boolean {
    const now = performance.now();
    if (now - (this.#writtenAt.get(text) ?? Number.NEGATIVE_INFINITY) < QUIET) return false;
    if (this.#writtenAt.size >= 100) this.#writtenAt.clear();
    this.#writtenAt.set(text, now);
    return true;
  }
}
