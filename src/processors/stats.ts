// Adds the samples that commits have logged to the tallies of hours and days, every few seconds. Queries read the log too,
// so this only keeps it short.

import type { Db } from '../store/redis/connection.ts';
import { partitionKeys } from '../store/redis/keys.ts';
import type { Log } from '../store/redis/log.ts';
import { partitionsWith } from '../store/redis/partition-counts.ts';
import { forEachIntact } from '../store/redis/unreadable.ts';
import { aggregateSamples } from '../store/stats/sample-log.ts';
import { type MayContinue, PeriodicTask } from './periodic-task.ts';

const RUN_EVERY_MS = 5_000;
/** Most commits for a partition in one run, so that one partition cannot block the others. */
const MAX_AGGREGATIONS = 200;
/** The lock of a dead process ends after this, ms. */
const LOCK_MS = 30_000;

export class StatsTallier {
  readonly #db: Db;
  readonly #task: PeriodicTask;

  constructor({ db, log, every = RUN_EVERY_MS }: { db: Db; log: Log; every?: number | undefined }) {
    this.#db = db;
    this.#task = new PeriodicTask({
      db,
      log,
      name: 'stats',
      every,
      lockMs: LOCK_MS,
      run: (mayContinue) => this.run(mayContinue),
    });
  }

  start(): void {
    this.#task.start();
  }

  /** Finishes the current commit and stops. */
  close(): Promise<void> {
    return this.#task.close();
  }

  /**
   * Adds all samples that are logged now.
   * @param mayContinue called after each partition with samples.
   */
  async run(mayContinue: MayContinue = async () => true): Promise<void> {
    let isOver = false;
    const keyOf = (partition: string) => partitionKeys(this.#db.prefix, partition).statsLog;
    const logged = await partitionsWith(this.#db, ({ statsLog }) => [['LLEN', statsLog]]);
    await forEachIntact(this.#db, logged, keyOf, async (partition) => {
      let added = 0;
      for (
        let aggregations = 0;
        aggregations < MAX_AGGREGATIONS && !isOver && !this.#task.isClosing;
        aggregations += 1
      ) {
        const count = await aggregateSamples(this.#db, partition);
        if (count === 0) break;
        added += count;
      }
      if (added > 0 && !isOver) isOver = !(await mayContinue());
    });
  }
}
