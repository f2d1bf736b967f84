// Moves finished tasks to the archive, and brings them back before they are to be purged. It runs in the web processes, which
// alone have access to the file store, in one of them at a time; after each step it pauses for a multiple of the time that the
// step took, so it slows down when Redis is busy.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Archive, segmentPath } from '../store/archive/archive.ts';
import { type Archived, archiveOrg } from '../store/archive/archiving.ts';
import { FileStoreError } from '../store/evidence/files.ts';
import { allTenants } from '../store/identity/orgs.ts';
import { moveMemberToDead, reportedAt } from '../store/maintenance/dead-entries.ts';
import type { Db } from '../store/redis/connection.ts';
import { NotDueError } from '../store/redis/due.ts';
import { orgKeysOf, partitionKeys } from '../store/redis/keys.ts';
import type { Log } from '../store/redis/log.ts';
import { partitionsWith } from '../store/redis/partition-counts.ts';
import { fetched, forEachIntact, nullIfUnreadable } from '../store/redis/unreadable.ts';
import { type MayContinue, PeriodicTask } from './periodic-task.ts';

const RUN_EVERY_MS = 600_000;
/** Segments of one partition that are dissolved in a run. */
const MAX_DISSOLVED = 100;
/** The pause after a step, unless a test sets it. */
const REST = 2;
/** Segments whose file is there and cannot be read, after which a run leaves the rest to the next. */
const MAX_FAILURES = 5;
/** Delay before a segment that cannot be dissolved is tried again, ms. */
const RETRY_AFTER_MS = 3600_000;
/** A segment whose file is lost for so long is set aside, ms. */
const GIVE_UP_AFTER_MS = 24 * 3600_000;
/** The lock of a dead process ends after this, ms. */
const LOCK_MS = 60_000;

export interface ArchiverOptions {
  archive: Archive;
  log: Log;
  /** Age from which finished tasks are archived, ms; null: none is. */
  after: number | null;
  every?: number | undefined;
  /** Pause after a step, as a multiple of the time that the step took; only tests set it. */
  rest?: number | undefined;
}

export class Archiver {
  readonly #archive: Archive;
  readonly #db: Db;
  readonly #log: Log;
  readonly #after: number | null;
  readonly #rest: number;
  readonly #task: PeriodicTask;

  constructor({ archive, log, after, every = RUN_EVERY_MS, rest = REST }: ArchiverOptions) {
    const { db } = archive.store;
    this.#archive = archive;
    this.#db = db;
    this.#log = log;
    this.#after = after;
    this.#rest = rest;
    const run = (mayContinue: MayContinue) => this.run(mayContinue);
    this.#task = new PeriodicTask({ db, log, name: 'archive', every, lockMs: LOCK_MS, run });
  }

  start(): void {
    this.#task.start();
  }

  /** Finishes the current step and stops. */
  close(): Promise<void> {
    return this.#task.close();
  }

  /**
   * Dissolves the segments that are due and archives the tasks that are.
   * @param mayContinue called after each step. @throws FileStoreError, NotDueError; the client's error in an outage
   */
  async run(mayContinue: MayContinue = async () => true): Promise<void> {
    if (this.#db.clock.isFrozen) return;
    let isOver = false;
    let start = performance.now();
    const step = async () => {
      await sleep(this.#rest * (performance.now() - start));
      isOver ||= this.#task.isClosing || !(await mayContinue());
      start = performance.now();
      return !isOver;
    };
    try {
      const restored = await this.#dissolveDue(step);
      if (restored > 0) this.#log.info({ tasks: restored }, 'restored archived tasks that are to be purged');
      if (this.#after === null || isOver) return;
      const { tasks, segments } = await this.#archiveDue(this.#after, step);
      if (tasks > 0) this.#log.info({ tasks, segments }, 'archived finished tasks');
    } catch (error) {
      if (error instanceof NotDueError) await this.#db.clock.sync().catch(() => undefined);
      throw error;
    }
  }

  async #dissolveDue(step: MayContinue): Promise<number> {
    let restored = 0;
    let isOver = false;
    let failures = 0;
    const dissolve = async (partition: string, member: string) => {
      if (isOver) return;
      const [orgId = '', segment = ''] = member.split(' ');
      try {
        restored += await this.#archive.dissolve(orgId, segment, step);
      } catch (error) {
        // The lost files of one org delay no other; if several cannot be read, the file store is unavailable.
        failures += error instanceof FileStoreError && !error.isLost ? 1 : 0;
        if (failures === MAX_FAILURES) isOver = true;
        if (await this.#postpone(partition, member, error)) return;
        throw error;
      }
      isOver ||= !(await step());
    };
    const now = this.#db.clock.now();
    for (const partition of await partitionsWith(this.#db, ({ segments }) => [
      ['ZCOUNT', segments, 0, now],
    ])) {
      if (isOver) break;
      const key = partitionKeys(this.#db.prefix, partition).segments;
      const read = () =>
        fetched(key, this.#db.redis.zrangebyscore(key, 0, this.#db.clock.now(), 'LIMIT', 0, MAX_DISSOLVED));
      const due = (await nullIfUnreadable(this.#db, read)) ?? [];
      const nameOf = (member: string) => `${key} ${member}`;
      await forEachIntact(this.#db, due, nameOf, (member) => dissolve(partition, member));
    }
    return restored;
  }

  /**
   * Has a segment that cannot be dissolved tried again later. If its file has been lost for a day, it is set aside as a dead
   * entry, which the operator replays when the file is back. @returns whether it is set aside
   */
  async #postpone(partition: string, name: string, error: unknown): Promise<boolean> {
    const key = partitionKeys(this.#db.prefix, partition).segments;
    const now = this.#db.clock.now();
    const score = now + RETRY_AFTER_MS;
    await this.#db.redis.zadd(key, 'XX', score, name);
    if (!(error instanceof FileStoreError) || !error.isLost) return false;
    const report = `${key} ${name}`;
    const since = await reportedAt(this.#db, partition, report);
    if (since === null || now - since < GIVE_UP_AFTER_MS) return false;
    const [orgId = '', segment = ''] = name.split(' ');
    const path = segmentPath(orgId, segment);
    const reason = `${error.message}: ${path}. Replay this entry when the file is back`;
    if (!(await moveMemberToDead(this.#db, partition, key, { name, score, reason }, report))) return false;
    this.#log.error({ path }, 'a file of the archive is lost, and its tasks are set aside');
    return true;
  }

  async #archiveDue(after: number, step: MayContinue): Promise<Archived> {
    const sum: Archived = { tasks: 0, segments: 0 };
    let isOver = false;
    let failure: FileStoreError | null = null;
    const keyOf = (orgId: string) => orgKeysOf(this.#db.prefix, orgId).archive;
    await forEachIntact(this.#db, await allTenants(this.#db), keyOf, async (orgId) => {
      // Without the file store no other org's tasks can be archived either.
      if (isOver || failure !== null) return;
      try {
        const { tasks, segments } = await archiveOrg(this.#archive.store, orgId, after, step);
        sum.tasks += tasks;
        sum.segments += segments;
        isOver = tasks > 0 && !(await step());
      } catch (error) {
        if (!(error instanceof FileStoreError)) throw error;
        failure = error;
      }
    });
    if (failure !== null) throw failure;
    return sum;
  }
}
