// Adds the jobs of checks that are due soon. The relay adds a job only if its check is due within `SCHEDULED_AHEAD`, because
// most tasks have moved on long before their clocks run out. The others are found here, in the index of due times.
//
// A task is indexed by its next check. After a check runs, its commit schedules the next one. So each time range of the
// index is read only once.

import { isScheduledNow, SCHEDULED_AHEAD } from '../queues/catalogue.ts';
import { checkJob } from '../queues/new-jobs.ts';
import type { Queues } from '../queues/queues.ts';
import { checksOf, isDelayed } from '../state/tasks/scheduled-checks.ts';
import type { Db } from '../store/redis/connection.ts';
import { partitionKeys } from '../store/redis/keys.ts';
import type { Log } from '../store/redis/log.ts';
import { partitionsWith } from '../store/redis/partition-counts.ts';
import { pagesByScore } from '../store/redis/score-pages.ts';
import { forEachIntact, nullIfUnreadable } from '../store/redis/unreadable.ts';
import { loadTask } from '../store/tasks/tasks.ts';
import { PeriodicTask } from './periodic-task.ts';

/** How often the index is read, ms. */
const RUN_EVERY_MS = 15_000;
/** Another process continues this long after the last run of one that died, ms; well within `SCHEDULED_AHEAD`. */
const LOCK_MS = 25_000;
const BATCH = 500;

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

  /** Adds the jobs of the checks that are due soon and were not when it was called last. */
  async schedule(): Promise<void> {
    const until = this.#db.clock.now() + SCHEDULED_AHEAD;
    // When the clock has gone back, everything is read again.
    const from = until < this.#scheduledUntil ? 0 : this.#scheduledUntil;
    const keyOf = (partition: string) => partitionKeys(this.#db.prefix, partition).due;
    const indexed = await partitionsWith(this.#db, ({ due }) => [['ZCOUNT', due, from, until]]);
    await forEachIntact(this.#db, indexed, keyOf, (partition) =>
      this.#scheduleIndexed(keyOf(partition), from, until),
    );
    this.#scheduledUntil = until;
  }

  async #scheduleIndexed(key: string, from: number, until: number): Promise<void> {
    for await (const page of pagesByScore(this.#db.redis, key, { from, until, size: BATCH }))
      await this.#scheduleChecksOf(page.map(([member]) => member));
  }

  async #scheduleChecksOf(members: readonly string[]): Promise<void> {
    const jobs = await Promise.all(
      members.map(async (member) => {
        const [org_id = '', task_id = ''] = member.split(' ');
        const stored = await nullIfUnreadable(this.#db, () => loadTask(this.#db, org_id, task_id));
        if (stored === null) return [];
        const now = this.#db.clock.now();
        const jobData = { org_id, task_id, version: stored.task.version };
        return checksOf(stored.task)
          .filter(isDelayed)
          .filter((check) => isScheduledNow(check, now))
          .map((check) => checkJob(jobData, check, now));
      }),
    );
    await this.#queues.add(jobs.flat());
  }
}
