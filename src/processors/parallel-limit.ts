// Limits the jobs of a queue that a process runs at the same time, over all shards, and with those that do without the queue. A
// worker fetches a job only while fewer run, because a job that was fetched and waits cannot be taken by another process.

export class ParallelLimit {
  /** Most jobs at the same time. */
  readonly most: number;
  /** Jobs that run, and fetches under way. */
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.most = most;
  }

  /**
   * Carries out a fetch when fewer jobs run than may. A worker that finishes a job and is given the next one in the same
   * step does not wait, so a few more can run for a moment.
   */
  async whenFree<R>(fetch: () => Promise<R>): Promise<R> {
    while (this.#busy >= this.most) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.#busyWhile(fetch);
  }

  /** The same processor of jobs, whose jobs count. */
  counted<A extends unknown[]>(run: (...args: A) => Promise<void>): (...args: A) => Promise<void> {
    return (...args) => this.#busyWhile(() => run(...args));
  }

  /** Runs at once, when fewer jobs run than may and no fetch waits for that. @returns null when it may not run now */
  runIfFree<R>(run: () => Promise<R>): Promise<R> | null {
    return this.#busy < this.most && this.#waiting.length === 0 ? this.#busyWhile(run) : null;
  }

  async #busyWhile<R>(run: () => Promise<R>): Promise<R> {
    this.#busy += 1;
    try {
      return await run();
    } finally {
      this.#busy -= 1;
      this.#waiting.shift()?.();
    }
  }
}
