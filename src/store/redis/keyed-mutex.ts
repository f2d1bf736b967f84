// KeyedMutex: work on the same thing, one after the other within this process. Matching jobs of one org all want the
// same best worker for the same first task, entries of one org's audit log the same head, hundreds who are
// asked at once the same task; letting them race would be decided by the commit, but at the price of every
// loser doing all of it in vain.

import { setTimeout as sleep } from 'node:timers/promises';

export class KeyedMutex {
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #patience: number | null;

  /** @param patience how long a turn is waited for, ms; who has waited so long does not wait any more. Null: no end. */
  constructor(patience: number | null = null) {
    this.#patience = patience;
  }

  /** Runs `work` when all earlier work on `key` has ended, however it ended. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const mine = before === undefined ? work() : this.#after(before).then(work, work);
    this.#last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }

  async #after(before: Promise<unknown>): Promise<unknown> {
    if (this.#patience === null) return before;
    const waited = new AbortController();
    const limit = sleep(this.#patience, undefined, { signal: waited.signal }).catch(() => undefined);
    try {
      return await Promise.race([before, limit]);
    } finally {
      waited.abort();
    }
  }
}
