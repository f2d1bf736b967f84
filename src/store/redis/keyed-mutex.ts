// KeyedMutex runs work on the same key one at a time within this process. Concurrent matching jobs of an org choose the
// same worker, entries of one audit log extend the same head, and many workers accept the same task at once. The commit
// would resolve these races too, but every loser would have done its work in vain.

import { setTimeout as sleep } from 'node:timers/promises';
import { isUnavailable } from './connection.ts';

/** Work on one key, waiting or running. */
interface Work {
  /** Resolves when it starts. */
  begun: Promise<unknown>;
  /** Settles when it ends. */
  ended: Promise<unknown>;
}

export class KeyedMutex {
  readonly #last = new Map<string, Work>();
  readonly #patience: number | null;

  /** @param patience longest time that work waits for the work before it, ms; then both run. Null: no limit. */
  constructor(patience: number | null = null) {
    this.#patience = patience;
  }

  /**
   * Runs `work` when all earlier work on `key` has ended, however it ended.
   * @param work called with whether it has waited: records loaded before may then be stale.
   * @throws the error of `work`; or, without running it, the error of the previous work if that found Redis unavailable:
   *   otherwise the waiting calls would run into their timeouts one after the other.
   */
  async take<T>(key: string, work: (hasWaited: boolean) => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const begun = before === undefined ? Promise.resolve() : this.#after(before);
    const ended = before === undefined ? work(false) : begun.then(() => work(true));
    const mine: Work = { begun, ended };
    this.#last.set(key, mine);
    try {
      return await ended;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }

  async #after({ begun, ended }: Work): Promise<void> {
    await begun;
    const over = ended.catch((error: unknown) => {
      if (isUnavailable(error)) throw error;
    });
    if (this.#patience === null) return void (await over);
    const waited = new AbortController();
    const limit = sleep(this.#patience, undefined, { signal: waited.signal }).catch(() => undefined);
    try {
      await Promise.race([over, limit]);
    } finally {
      waited.abort();
    }
  }
}
