// Work that one process at a time does every few seconds. Each worker process tries; a lock in Redis decides which one
// runs, and expires when that process dies.

import type { Db } from '../store/redis/connection.ts';
import { Lease } from '../store/redis/lease.ts';
import type { Log } from '../store/redis/log.ts';
import { shortenTtl } from '../store/redis/ttl.ts';

/** Called between steps of a run; false when this process no longer holds the lock, so the run must end. */
export type MayContinue = () => Promise<boolean>;

/** The lock is held until this long before the next run, so that the same process takes it again, ms. */
const RELEASE_BEFORE_NEXT_RUN_MS = 100;

export interface PeriodicTaskOptions {
  db: Db;
  log: Log;
  /** Name of the lock, and of the task in logs. */
  name: string;
  /** Time between two runs, ms. */
  every: number;
  /** The lock of a dead process ends after this, ms. */
  lockMs: number;
  /** Keeps the lock until the next run is due, so that no other process runs in between. */
  keepsLock?: boolean;
  run: (mayContinue: MayContinue) => Promise<void>;
}

export class PeriodicTask {
  readonly #options: PeriodicTaskOptions;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #isClosing = false;

  constructor(options: PeriodicTaskOptions) {
    this.#options = options;
  }

  /** Whether `close` was called: a long run ends after its current step. */
  get isClosing(): boolean {
    return this.#isClosing;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#running ??= this.#guardedRun().finally(() => {
        this.#running = null;
      });
    }, this.#options.every);
  }

  /** Stops further runs and waits for the one in progress. */
  async close(): Promise<void> {
    this.#isClosing = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#running;
  }

  async #guardedRun(): Promise<void> {
    const { db, log, name, lockMs, run } = this.#options;
    try {
      const begun = performance.now();
      const lock = `${db.prefix}:${name}`;
      const lease = await Lease.take(db.redis, lock, lockMs);
      if (lease === null) return await shortenTtl(db.redis, lock, lockMs);
      try {
        await run(() => lease.renew(lockMs));
      } finally {
        await this.#leave(lease, begun);
      }
    } catch (error) {
      log.warn({ err: error }, `${name} interrupted`);
    }
  }

  async #leave(lease: Lease, begun: number): Promise<void> {
    const { every, keepsLock = false } = this.#options;
    const untilNextRun = every - RELEASE_BEFORE_NEXT_RUN_MS - (performance.now() - begun);
    await (keepsLock && untilNextRun > 0 ? lease.renew(untilNextRun) : lease.release());
  }
}
