// Purges what has been kept for as long as it was to be: finished tasks after their `retain_days`, the
// histories of tasks that ask for no log, the old end of quiet orgs' feeds. It works in small batches and
// rests after each for a few times as long as it took, so that the busier Redis is, the slower it goes.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Due } from '../state/retention.ts';
import { NotDueError } from '../store/due.ts';
import { trimFeed } from '../store/feed.ts';
import { PARTITIONS } from '../store/keys.ts';
import { allTenants } from '../store/orgs.ts';
import type { Db } from '../store/redis.ts';
import { duePurges, type Purged, postpone, purge } from '../store/retention.ts';
import { shortenTtl } from '../store/ttl.ts';
import type { Log } from './log.ts';

const EVERY = 10_000;
const BATCH = 20;
/** Batches of one partition before the next run goes on, so that one that does not go away cannot hold up the rest. */
const BATCHES_MOST = 1000;
/** How long it rests after a batch, as a multiple of what the batch took. */
const REST = 4;
/** What cannot be purged is tried again after this, ms. */
const PUT_OFF = 3600_000;
/** How often feeds are trimmed, ms. */
const TRIM_EVERY = 3600_000;
/** One process at a time is enough; a dead one's lock ends after this, ms. */
const LOCK = 60_000;

export class Retention {
  readonly #db: Db;
  readonly #log: Log;
  readonly #every: number;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<unknown> | null = null;
  #closing = false;
  /** When feeds are trimmed next, by `performance.now()`. */
  #trimAt = 0;

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

  /** Finishes the batch in hand and stops. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#running;
  }

  async #guardedRun(): Promise<void> {
    if (this.#db.clock.isHeld) return;
    const lock = `${this.#db.prefix}:retention`;
    try {
      if ((await this.#db.redis.set(lock, '1', 'PX', LOCK, 'NX')) === null)
        return await shortenTtl(this.#db.redis, lock, LOCK);
      try {
        const { tasks, logs } = await this.run(() => this.#db.redis.pexpire(lock, LOCK));
        if (tasks + logs > 0) this.#log.info({ tasks, logs }, 'purged what was kept long enough');
        if (performance.now() < this.#trimAt) return;
        await this.trimFeeds();
        this.#trimAt = performance.now() + TRIM_EVERY;
      } finally {
        await this.#db.redis.del(lock);
      }
    } catch (error) {
      if (error instanceof NotDueError) await this.#db.clock.sync().catch(() => undefined);
      this.#log.warn({ err: error }, 'retention interrupted');
    }
  }

  /** Purges until nothing is due. @throws NotDueError by Redis' clock nothing is. @param alive is called after every batch. @returns how much went. */
  async run(alive: () => Promise<unknown> = async () => undefined): Promise<Purged> {
    const sum: Purged = { tasks: 0, logs: 0 };
    for (const partition of PARTITIONS) {
      for (let batches = 0; batches < BATCHES_MOST; batches += 1) {
        const start = performance.now();
        const due = await duePurges(this.#db, partition, BATCH);
        if (due.length === 0 || this.#closing) break;
        const { tasks, logs } = await this.#purge(due);
        sum.tasks += tasks;
        sum.logs += logs;
        await alive();
        await sleep(REST * (performance.now() - start));
      }
    }
    return sum;
  }

  /** Takes old ends off the feeds of all orgs. */
  async trimFeeds(): Promise<void> {
    for (const orgId of await allTenants(this.#db)) {
      if (this.#closing) return;
      await trimFeed(this.#db, orgId);
    }
  }

  /** A batch; one by one when one of them will not go, which is put off then. */
  async #purge(due: readonly Due[]): Promise<Purged> {
    try {
      return await purge(this.#db, due);
    } catch (error) {
      // Nothing is wrong with any of them, but with the time.
      if (error instanceof NotDueError) throw error;
      const [only, ...others] = due;
      if (only === undefined) return { tasks: 0, logs: 0 };
      if (others.length === 0) {
        this.#log.warn({ err: error, task_id: only.task_id }, 'a task could not be purged');
        await postpone(this.#db, only, PUT_OFF);
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
