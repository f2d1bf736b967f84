// Change notifications, for requests that wait. One subscriber connection per process, in a cluster one for each master, serves
// all of them: it subscribes to the channel of an org while a request waits there. Channels are sharded: only the master
// with the org's keys knows them. Notifications can be lost in an outage, so waiting requests also poll now and then.

import { orgKeysOf } from './keys.ts';
import type { RedisClient } from './servers.ts';

type Listener = (what: string) => void;

/** Those who wait for changes in an org. */
interface Audience {
  listeners: Set<Listener>;
  /** Resolves when the channel is subscribed. */
  subscribed: Promise<unknown>;
}

export class Changes {
  readonly #redis: RedisClient;
  readonly #prefix: string;
  readonly #lookEvery: number;
  /** By channel. */
  readonly #audiences = new Map<string, Audience>();

  /**
   * @param redis see `connectSubscriber`.
   * @param lookEvery how often a caller that waits calls `look` in case a notification was lost, ms.
   */
  constructor(redis: RedisClient, prefix: string, lookEvery = 5000) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#lookEvery = lookEvery;
    redis.on('smessage', (channel: string, what: string) => {
      for (const listener of this.#audiences.get(channel)?.listeners ?? []) listener(what);
    });
  }

  /**
   * Calls `listener` with `task <id>` or `worker <id>` at every change in the org, and with `feed` at an event of the
   * org itself, until the returned function is called.
   * Resolves once subscribed, so that a read made afterwards misses no change.
   */
  async listen(orgId: string, listener: Listener): Promise<() => void> {
    const channel = orgKeysOf(this.#prefix, orgId).changes;
    const known = this.#audiences.get(channel);
    const audience = known ?? { listeners: new Set(), subscribed: this.#redis.ssubscribe(channel) };
    audience.listeners.add(listener);
    if (known === undefined) this.#audiences.set(channel, audience);
    const stop = () => {
      audience.listeners.delete(listener);
      if (audience.listeners.size > 0 || this.#audiences.get(channel) !== audience) return;
      this.#audiences.delete(channel);
      this.#redis.sunsubscribe(channel).catch(() => undefined);
    };
    try {
      await audience.subscribed;
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  }

  /**
   * Waits until `look` returns something other than null, at most `ms`. Calls it at once, after each relevant change,
   * and every `lookEvery` ms in case a notification was lost.
   * @returns the result of `look`, or null when the time was up or `signal` aborted.
   */
  async waitFor<T>(
    orgId: string,
    isRelevant: (what: string) => boolean,
    look: () => Promise<T | null>,
    ms: number,
    signal: AbortSignal,
  ): Promise<T | null> {
    const end = performance.now() + ms;
    let wake = () => {};
    let isNotified = false;
    const stop = await this.listen(orgId, (what) => {
      if (!isRelevant(what)) return;
      isNotified = true;
      wake();
    });
    const onAbort = () => wake();
    signal.addEventListener('abort', onAbort);
    try {
      for (;;) {
        isNotified = false;
        const found = await look();
        if (found !== null || signal.aborted) return found;
        const left = end - performance.now();
        if (left <= 0) return null;
        if (isNotified) continue;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Math.min(left, this.#lookEvery));
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
      stop();
    }
  }
}
