// Holds jobs while Redis refuses writes, for instance because its memory is full. Without it every waiting job would be
// fetched, refused, put off and fetched again, which keeps a full Redis busy with thousands of commands a second.

import { type Db, refusalOf } from '../store/redis/connection.ts';
import { writeProbe } from '../store/redis/write-probe.ts';

/** Pause before Redis is asked again, ms: short after the first refusal, which may concern one large write only. */
const PAUSE_MS = { least: 250, most: 2000 };

export class WriteGate {
  readonly #whyClosed: () => Promise<unknown>;
  /** The wait that all held jobs share; null while Redis takes writes. */
  #waiting: Promise<void> | null = null;
  #close: () => void = () => undefined;
  readonly #closed = new Promise<void>((resolve) => {
    this.#close = resolve;
  });
  #isClosed = false;

  constructor(db: Pick<Db, 'redis' | 'prefix'>) {
    this.#whyClosed = writeProbe(db);
  }

  /** A job that Redis refused then fails, and is repeated like any other. */
  close(): void {
    this.#isClosed = true;
    this.#close();
  }

  /** Runs, and when Redis refuses, waits until it takes writes and runs again. @throws the error of `run` otherwise */
  async pass<R>(run: () => Promise<R>): Promise<R> {
    for (;;)
      try {
        return await run();
      } catch (error) {
        if (refusalOf(error) === null || this.#isClosed) throw error;
        this.#waiting ??= this.#untilOpen().finally(() => {
          this.#waiting = null;
        });
        await this.#waiting;
        if (this.#isClosed) throw error;
      }
  }

  /** Wraps a processor of jobs, see `pass`. */
  held<A extends unknown[]>(run: (...args: A) => Promise<void>): (...args: A) => Promise<void> {
    return (...args) => this.pass(() => run(...args));
  }

  async #untilOpen(): Promise<void> {
    let pause = PAUSE_MS.least;
    do {
      let timer: NodeJS.Timeout | undefined;
      const slept = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, pause);
      });
      await Promise.race([slept, this.#closed]);
      clearTimeout(timer);
      pause = Math.min(PAUSE_MS.most, pause * 2);
    } while (!this.#isClosed && (await this.#whyClosed()) !== null);
  }
}
