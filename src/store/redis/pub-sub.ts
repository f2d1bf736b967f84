// News of changes, for requests that wait. One subscriber connection a process serves all of them: it
// listens on the channel of an org while somebody waits there. News can be lost in an outage, so whoever
// waits also looks for themselves now and then.

import type { Redis } from 'ioredis';
import { orgKeysOf } from './keys.ts';

type Listener = (what: string) => void;

export class Changes {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #listeners = new Map<string, Set<Listener>>();

  /** @param redis a connection of its own: a subscribed connection can do nothing else. */
  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
    redis.on('message', (channel: string, what: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(what);
    });
  }

  /**
   * Calls `listener` with `task <id>` or `worker <id>` at every change in the org, and with `feed` when something has
   * happened to the org itself, until the returned function is called.
   * Resolves once listening, so that a look taken afterwards misses nothing.
   */
  async listen(orgId: string, listener: Listener): Promise<() => void> {
    const channel = orgKeysOf(this.#prefix, orgId).changes;
    const known = this.#listeners.get(channel);
    const listeners = known ?? new Set<Listener>();
    listeners.add(listener);
    if (known === undefined) this.#listeners.set(channel, listeners);
    const stop = () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#listeners.get(channel) !== listeners) return;
      this.#listeners.delete(channel);
      this.#redis.unsubscribe(channel).catch(() => undefined);
    };
    try {
      await this.#redis.subscribe(channel);
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  }

  /**
   * Waits until `look` gives something that is not null, at most `ms`; looks at once, after each relevant
   * change, and every five seconds in case news was lost.
   * @returns what `look` gave, or null when the time was up or `signal` aborted.
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
    let news = false;
    const stop = await this.listen(orgId, (what) => {
      if (!isRelevant(what)) return;
      news = true;
      wake();
    });
    const onAbort = () => wake();
    signal.addEventListener('abort', onAbort);
    try {
      for (;;) {
        news = false;
        const found = await look();
        if (found !== null || signal.aborted) return found;
        const left = end - performance.now();
        if (left <= 0) return null;
        if (news) continue;
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Math.min(left, 5000));
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
