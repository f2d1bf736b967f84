// Adds the samples that commits have logged to the tallies of hours and days, every few seconds. Queries read the log too,
// so this only keeps it short.

import type { Db } from '../store/redis/connection.ts';
import { PARTITIONS, partitionKeys } from '../store/redis/keys.ts';
import { Lease } from '../store/redis/lease.ts';
import type { Log } from '../store/redis/log.ts';
import { shortenTtl } from '../store/redis/ttl.ts';
import { forEachIntact } from '../store/redis/unreadable.ts';
import { foldSamples } from '../store/stats/sample-log.ts';

const EVERY = 5_000;
/** Most commits for a partition in one run, so that one partition cannot block the others. */
const FOLDS_MOST = 200;
/** One process at a time is enough; the lock of a dead one ends after this, ms. */
const LOCK = 30_000;

export class StatsFolder {
  readonly #db: Db;
  readonly #log: Log;
  readonly #every: number;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<unknown> | null = null;
  #closing = false;

  constructor(options: { db: Db; log: Log; every?: number | undefined }) {
    this.#db = options.db;
    this.#log = options.log;
    this.#every = options.every ?? EVERY;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#running ??= this.#guardedRun().finally(() => {
        this.#running = null;
      });
    }, this.#every);
  }

  /** Finishes the current commit and stops. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#running;
  }

  async #guardedRun(): Promise<void> {
    try {
      const lock = `${this.#db.prefix}:stats`;
      const lease = await Lease.take(this.#db.redis, lock, LOCK);
      if (lease === null) return await shortenTtl(this.#db.redis, lock, LOCK);
      try {
        await this.run(() => lease.renew(LOCK));
      } finally {
        await lease.release();
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'adding up of numbers interrupted');
    }
  }

  /**
   * Adds all samples that are logged now.
   * @param goesOn called after each partition with samples; false when this process no longer holds the lock.
   */
  async run(goesOn: () => Promise<boolean> = async () => true): Promise<void> {
    let isOver = false;
    const keyOf = (partition: string) => partitionKeys(this.#db.prefix, partition).statsLog;
    await forEachIntact(this.#db, PARTITIONS, keyOf, async (partition) => {
      let added = 0;
      for (let folds = 0; folds < FOLDS_MOST && !isOver && !this.#closing; folds += 1) {
        const count = await foldSamples(this.#db, partition);
        if (count === 0) break;
        added += count;
      }
      if (added > 0 && !isOver) isOver = !(await goesOn());
    });
  }
}
