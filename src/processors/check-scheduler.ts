// Adds the jobs of moments that are near. The relay adds a moment's job only if a check is due within `SCHEDULED_AHEAD`, because
// most tasks have moved on long before their clocks run out. The others are found here, in the index of due times.
//
// A task is indexed by its next check. After a check runs, its commit schedules the next one. So each time range of the
// index is read only once.

import { momentJob } from '../queues/new-jobs.ts';
import type { Queues } from '../queues/queues.ts';
import { SCHEDULED_AHEAD } from '../state/tasks/scheduled-checks.ts';
import type { Db } from '../store/redis/connection.ts';
import { partitionKeys } from '../store/redis/keys.ts';
import type { Log } from '../store/redis/log.ts';
import { partitionsWith } from '../store/redis/partition-counts.ts';
import { forEachIntact } from '../store/redis/unreadable.ts';
import { momentsDue } from '../store/tasks/due-index.ts';
import { PeriodicTask } from './periodic-task.ts';

/** How often the index is read, ms. */
const RUN_EVERY_MS = 15_000;
/** Another process continues this long after the last run of one that died, ms; well within `SCHEDULED_AHEAD`. */
const LOCK_MS = 25_000;

export class CheckScheduler {
  readonly #db: Db;
  readonly #queues: Queues;
  readonly #log: Log;
  /** Checks due until then have jobs, ms. */
  #scheduledUntil = 0;
  readonly #task: PeriodicTask;
  #firstRun: Promise<void> | null = null;

  constructor({ db, queues, log }: { db: Db; queues: Queues; log: Log }) {
    this.#db = db;
    this.#queues = queues;
    this.#log = log;
    this.#task = new PeriodicTask({
      db,
      log,
      name: 'check-schedule',
      every: RUN_EVERY_MS,
      lockMs: LOCK_MS,
      keepsLock: true,
      run: () => this.schedule(),
    });
  }

  /** Schedules at once what became due while no process ran, then what is due soon. */
  start(): void {
    // The first run does not wait for the lock of a process that may have died.
    this.#firstRun = this.schedule().catch((error: unknown) => {
      this.#log.warn({ err: error }, 'check-schedule interrupted');
    });
    this.#task.start();
  }

  async close(): Promise<void> {
    await Promise.all([this.#task.close(), this.#firstRun]);
  }

  /** Adds the jobs of the moments that are near and were not when it was called last. */
  async schedule(): Promise<void> {
    const now = this.#db.clock.now();
    const until = now + SCHEDULED_AHEAD;
    // When the clock has gone back, everything is read again.
    const from = until < this.#scheduledUntil ? 0 : this.#scheduledUntil;
    const keyOf = (partition: string) => partitionKeys(this.#db.prefix, partition).due;
    const indexed = await partitionsWith(this.#db, ({ due }) => [['ZCOUNT', due, from, until]]);
    await forEachIntact(this.#db, indexed, keyOf, async (partition) => {
      const moments = await momentsDue(this.#db, partition, { from, until, now });
      await this.#queues.add(moments.map((at) => momentJob({ partition, at }, now)));
    });
    this.#scheduledUntil = until;
  }
}
