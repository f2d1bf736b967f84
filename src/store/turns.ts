// Turns: work on the same thing, one after the other within this process. Matching jobs of one org all
// want the same best worker for the same first task, and entries of one org's audit log the same head;
// letting them race would be decided by the commit, but at the price of every loser looking up again.

export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `work` when all earlier work on `key` has ended, however it ended. */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#last.set(key, mine);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === mine) this.#last.delete(key);
    }
  }
}
