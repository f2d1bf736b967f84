// Purges finished tasks after their `retain_days`, histories of tasks without a log, and old entries of feeds. It works in
// small batches and pauses after each for a multiple of the time that it took, so it slows down when Redis is busy.

import { setTimeout as sleep } from 'node:timers/promises';
import { allTenants } from '../store/identity/orgs.ts';
import { moveMemberToDead } from '../store/maintenance/dead-entries.ts';
import { type Due, duePurges, type Purged, postpone, purge } from '../store/maintenance/retention.ts';
import type { Db } from '../store/redis/connection.ts';
import { NotDueError } from '../store/redis/due.ts';
import { orgKeysOf, partitionKeys } from '../store/redis/keys.ts';
import type { Log } from '../store/redis/log.ts';
import { partitionsWith } from '../store/redis/partition-counts.ts';
import { concernsOneItem, forEachIntact, reportFailed } from '../store/redis/unreadable.ts';
import { trimFeed } from '../store/tasks/feed.ts';
import { type MayContinue, PeriodicTask } from './periodic-task.ts';

const RUN_EVERY_MS = 10_000;
const BATCH = 20;
/** Most batches of one partition in a run, so that one partition cannot block the others. */
const MAX_BATCHES = 1000;
/** Pause after a batch, as a multiple of the time that the batch took. */
const REST = 4;
/** Delay before a task that cannot be purged is tried again, ms. */
const RETRY_AFTER_MS = 3600_000;
/** How often feeds are trimmed, ms. */
const TRIM_EVERY_MS = 3600_000;
/** The lock of a dead process ends after this, ms. */
const LOCK_MS = 60_000;

export class Retention {
  readonly #db: Db;
  readonly #log: Log;
  readonly #task: PeriodicTask;
  /** When feeds are trimmed next, on the clock of `performance.now()`. */
  #trimAt = 0;
  /** What was purged since the start. */
  readonly purged: Purged = { tasks: 0, logs: 0 };

  constructor({ db, log, every = RUN_EVERY_MS }: { db: Db; log: Log; every?: number | undefined }) {
    this.#db = db;
    this.#log = log;
    this.#task = new PeriodicTask({
      db,
      log,
      name: 'retention',
      every,
      lockMs: LOCK_MS,
      run: (mayContinue) => this.#purgeAndTrim(mayContinue),
    });
  }

  start(): void {
    this.#task.start();
  }

  /** Finishes the current batch and stops. */
  close(): Promise<void> {
    return this.#task.close();
  }

  async #purgeAndTrim(mayContinue: MayContinue): Promise<void> {
    if (this.#db.clock.isFrozen) return;
    try {
      const { tasks, logs } = await this.run(mayContinue);
      if (tasks + logs > 0) this.#log.info({ tasks, logs }, 'purged tasks and histories');
      if (performance.now() < this.#trimAt) return;
      await this.trimFeeds(mayContinue);
      this.#trimAt = performance.now() + TRIM_EVERY_MS;
    } catch (error) {
      if (error instanceof NotDueError) await this.#db.clock.sync().catch(() => undefined);
      throw error;
    }
  }

  /**
   * Purges until nothing is due.
   * @param mayContinue called after each batch.
   * @returns how many tasks and histories were purged. @throws NotDueError when they are not due by Redis' clock
   */
  async run(mayContinue: MayContinue = async () => true): Promise<Purged> {
    const sum: Purged = { tasks: 0, logs: 0 };
    let isOver = false;
    const keyOf = (partition: string) => partitionKeys(this.#db.prefix, partition).purges;
    const due = await partitionsWith(this.#db, ({ purges, retain }) =>
      [purges, retain].map((key) => ['ZCOUNT', key, 0, this.#db.clock.now()]),
    );
    await forEachIntact(this.#db, due, keyOf, async (partition) => {
      for (let batches = 0; batches < MAX_BATCHES && !isOver && !this.#task.isClosing; batches += 1) {
        const start = performance.now();
        const due = await this.#due(partition);
        if (due === null) break;
        const { tasks, logs } = await this.#purge(due);
        sum.tasks += tasks;
        sum.logs += logs;
        this.purged.tasks += tasks;
        this.purged.logs += logs;
        isOver = !(await mayContinue());
        await sleep(REST * (performance.now() - start));
      }
    });
    return sum;
  }

  /** The due members of the partition, null when there are none; malformed ones become dead entries. */
  async #due(partition: string): Promise<Due[] | null> {
    const { due, malformed } = await duePurges(this.#db, partition, BATCH);
    for (const { key: index, member: name, at: score } of malformed) {
      const reason = 'the member of an index is malformed';
      const member = name.toString();
      this.#log.error({ index, member }, 'the member of an index is malformed, and is set aside');
      await moveMemberToDead(this.#db, partition, index, { name, score, reason });
    }
    return due.length + malformed.length === 0 ? null : due;
  }

  /** Trims the feeds of all orgs. @param mayContinue as for `run` */
  async trimFeeds(mayContinue: MayContinue = async () => true): Promise<void> {
    let isOver = false;
    let renewAt = performance.now() + LOCK_MS / 4;
    const keyOf = (orgId: string) => orgKeysOf(this.#db.prefix, orgId).feed;
    await forEachIntact(this.#db, await allTenants(this.#db), keyOf, async (orgId) => {
      if (isOver || this.#task.isClosing) return;
      await trimFeed(this.#db, orgId);
      if (performance.now() < renewAt) return;
      renewAt = performance.now() + LOCK_MS / 4;
      isOver = !(await mayContinue());
    });
  }

  /** Purges a batch; if that fails, one by one, and puts off those that fail. */
  async #purge(due: readonly Due[]): Promise<Purged> {
    try {
      return await purge(this.#db, due);
    } catch (error) {
      // The time is wrong, not the tasks.
      if (error instanceof NotDueError) throw error;
      const [only, ...others] = due;
      if (only === undefined) return { tasks: 0, logs: 0 };
      if (others.length === 0) {
        if (!concernsOneItem(error)) throw error;
        this.#log.warn(
          { err: error, org_id: only.org_id, task_id: only.task_id },
          'a task could not be purged',
        );
        reportFailed(this.#db, orgKeysOf(this.#db.prefix, only.org_id).task(only.task_id), error);
        await postpone(this.#db, only, RETRY_AFTER_MS);
        return { tasks: 0, logs: 0 };
      }
      const sum: Purged = { tasks: 0, logs: 0 };
      for (const one of due) {
        const { tasks, logs } = await this.#purge([one]);
        sum.tasks += tasks;
        sum.logs += logs;
      }
      return sum;
    }
  }
}
