// KeyedMutex: work on the same key, one after the other within this process. Matching jobs of one org all want the
// same best worker for the same first task, entries of one audit log the same head, hundreds of workers who accept at
// once the same task. The commit would decide those races too, but every loser would first do all the work in vain.

import { setTimeout as sleep } from 'node:timers/promises';
import { isUnavailable } from './connection.ts';

/** Work on one key. */
interface Turn {
  /** Resolves when it runs. */
  begun: Promise<unknown>;
  /** Settles as it ends. */
  ended: Promise<unknown>;
}

export class KeyedMutex {
  readonly #last = new Map<string, Turn>();
  readonly #patience: number | null;

  /** @param patience longest time that the next work waits for running work, ms; then both run. Null: no limit. */
  constructor(patience: number | null = null) {
    this.#patience = patience;
  }

  /**
   * Runs `work` when all earlier work on `key` has ended, however it ended.
   * @param work is told whether it waited: what was loaded before may be stale then.
   * @throws what `work` throws; or, without running it, the error of the work waited for when that found Redis
   *   unavailable: otherwise each waiter would wait for a timeout of its own, one after the other.
   */
  async take<T>(key: string, work: (hasWaited: boolean) => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const begun = before === undefined ? Promise.resolve() : this.#after(before);
    const ended = before === undefined ? work(false) : begun.then(() => work(true));
    const mine: Turn = { begun, ended };
    this.#last.set(key, mine);
    try {
      return await ended;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }

  async #after({ begun, ended }: Turn): Promise<void> {
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
