// The archive of finished tasks: segments in the file store, each with some hundred tasks of one org. Redis keeps a member of
// the index `archived` for each task, and for each segment the SHA-256 of its file and when it is dissolved. The life of a segment:
//   1. its file is stored as an orphaned file, which the sweep removes if nothing follows;
//   2. one commit takes it out of the orphaned files and registers it;
//   3. commits replace its tasks in Redis by members of the index, some at a time; a task that has changed since stays;
//   4. before its first task is to be purged, its tasks are restored, some at a time, and retention purges them;
//   5. one commit turns its file into an orphaned file again.
// So every task is either in Redis or in a registered segment, also after a crash between any two steps. A segment whose file
// is lost is set aside: it is no longer dissolved when it is due, but it stays registered.

import { buffer } from 'node:stream/consumers';
import { LRUCache } from 'lru-cache';
import { type EvidenceFiles, FileStoreError } from '../evidence/files.ts';
import { TOMBSTONE } from '../evidence/orphaned-files.ts';
import { ARCHIVED, type ArchivedTask, type TaskArchive } from '../redis/archive.ts';
import { commit, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { KeyedMutex } from '../redis/keyed-mutex.ts';
import { orgKeysOf } from '../redis/keys.ts';
import type { Sealer } from '../redis/sealing.ts';
import { fetched, UnreadableRecord } from '../redis/unreadable.ts';
import { archivedEntry } from '../tasks/archived.ts';
import { archiveKey } from './archive-key.ts';
import { openSegment, type Segment } from './segment.ts';
import { archivedMemberOf, fromSegmentForm, restoreChange } from './task-keys.ts';

/** Opened segments kept in memory, bytes. */
const CACHED_BYTES = 32 * 1024 * 1024;
/** Segments that are read at the same time. */
const READERS = 4;
/** Families of tasks restored in one commit. */
const STEP = 20;

/** What the archive works with. */
export interface ArchiveStore {
  db: Db;
  files: EvidenceFiles;
  sealer: Sealer;
}

/** The path of a segment in the file store; no task has this id. */
export function segmentPath(orgId: string, segment: string): string {
  return `${orgId}/archive/${segment}`;
}

/** What the encryption of a segment is bound to. */
export function segmentContext(orgId: string, segment: string): string {
  return `${orgId} segment ${segment}`;
}

/** Member of the partition's set of segments. */
export function segmentMember(orgId: string, segment: string): string {
  return `${orgId} ${segment}`;
}

/** Removes a segment that no longer holds a task; the sweep removes its file. */
export async function removeSegment(db: Db, orgId: string, id: string): Promise<void> {
  const { archive, segments, orphanedFiles } = orgKeysOf(db.prefix, orgId);
  const writes: Write[] = [
    ['HDEL', archive, id],
    ['ZREM', segments, segmentMember(orgId, id)],
    ['ZADD', orphanedFiles, TOMBSTONE, segmentPath(orgId, id)],
  ];
  await commit(db.redis, { guards: [], writes });
}

/** The tasks of a segment, each with its copies. */
function familiesIn(segment: Segment | null): ArchivedTask[][] {
  const families = new Map<string, ArchivedTask[]>();
  for (const one of segment?.tasks.values() ?? [])
    families.set(one.family, [...(families.get(one.family) ?? []), one]);
  return [...families.values()];
}

export class Archive implements TaskArchive {
  readonly store: ArchiveStore;
  readonly #opened = new LRUCache<string, Segment>({
    maxSize: CACHED_BYTES,
    sizeCalculation: ({ bytes }) => Math.max(1, bytes),
  });
  readonly #readers = new KeyedMutex();
  #turn = 0;

  constructor(store: ArchiveStore) {
    this.store = store;
  }

  async read(orgId: string, taskId: string): Promise<ArchivedTask | null> {
    const found = await this.#find(orgId, taskId);
    return found && fromSegmentForm(this.store.sealer, orgId, found.task);
  }

  async restore(orgId: string, taskId: string): Promise<boolean> {
    let wasArchived = false;
    return updateWithRetry('archived task', async () => {
      const found = await this.#find(orgId, taskId);
      if (found === null) return wasArchived;
      wasArchived = true;
      const { family } = found.task;
      const tasks = [...found.segment.tasks.values()].filter((one) => one.family === family);
      return (await this.#restore(orgId, found.id, [tasks])) ? true : CONFLICT;
    });
  }

  /**
   * Restores the tasks that are still in a segment, then removes it.
   * @param mayContinue called after each commit; false ends the work, which the next call goes on with.
   * @returns how many tasks were restored. @throws as `read`
   */
  async dissolve(orgId: string, id: string, mayContinue: () => Promise<boolean>): Promise<number> {
    const { db } = this.store;
    const segment = await this.#segment(orgId, id);
    let restored = 0;
    const families = familiesIn(segment);
    for (let at = 0; at < families.length; at += STEP) {
      const step = families.slice(at, at + STEP);
      if (await this.#restore(orgId, id, step)) restored += step.flat().length;
      // Some were restored before, each on its own.
      else for (const one of step) if (await this.#restore(orgId, id, [one])) restored += one.length;
      if (!(await mayContinue())) return restored;
    }
    const members = families.flat().map((one) => archivedMemberOf(one, id));
    const { index } = orgKeysOf(db.prefix, orgId);
    const left = members.length === 0 ? [] : await db.redis.zmscore(index(ARCHIVED), ...members);
    if (left.some((score) => score !== null)) throw new Error(`segment ${id} cannot be dissolved`);
    await removeSegment(db, orgId, id);
    return restored;
  }

  /** Restores families of tasks in one commit. @returns false when one of them is not archived, or no longer there */
  #restore(orgId: string, segment: string, families: readonly (readonly ArchivedTask[])[]): Promise<boolean> {
    const { db, sealer } = this.store;
    const tasks = families.flat().map((one) => fromSegmentForm(sealer, orgId, one));
    return commit(db.redis, restoreChange(db, orgId, segment, tasks));
  }

  /** Finds an archived task in its segment; null when there is none with this id. */
  async #find(
    orgId: string,
    taskId: string,
  ): Promise<{ id: string; segment: Segment; task: ArchivedTask } | null> {
    const { db } = this.store;
    let entry = await archivedEntry(db, orgId, taskId);
    while (entry !== null) {
      const { segment: id } = entry;
      let failure: unknown = null;
      const segment = await this.#segment(orgId, id).catch((error: unknown) => {
        failure = error;
        return null;
      });
      if (segment !== null) {
        const task = segment.tasks.get(taskId);
        if (task !== undefined) return { id, segment, task };
        failure = new FileStoreError('a segment of the archive lacks a task');
      }
      // Its segment may have been dissolved while it was read.
      entry = await archivedEntry(db, orgId, taskId);
      if (entry?.segment === id) throw failure ?? new FileStoreError('a segment of the archive is missing');
    }
    return null;
  }

  /**
   * Opens a segment; null when it is not registered.
   * @throws FileStoreError, UnopenableError; UnreadableRecord when its file is lost and it is set aside
   */
  async #segment(orgId: string, id: string): Promise<Segment | null> {
    const known = () => this.#opened.get(segmentPath(orgId, id));
    this.#turn = (this.#turn + 1) % READERS;
    return known() ?? this.#readers.take(`${this.#turn}`, async () => known() ?? this.#open(orgId, id));
  }

  async #open(orgId: string, id: string): Promise<Segment | null> {
    const { db, sealer } = this.store;
    const { archive } = orgKeysOf(db.prefix, orgId);
    const sha256 = await fetched(archive, db.redis.hget(archive, id));
    if (sha256 === null) return null;
    const path = segmentPath(orgId, id);
    const bytes = await this.#bytes(orgId, id, path, sha256);
    const { key } = await archiveKey(db, sealer, orgId);
    const segment = await openSegment(bytes, key, segmentContext(orgId, id));
    this.#opened.set(path, segment);
    return segment;
  }

  async #bytes(orgId: string, id: string, path: string, sha256: string): Promise<Buffer> {
    const { db, files } = this.store;
    try {
      return await buffer(await files.open(path, sha256));
    } catch (error) {
      if (!(error instanceof FileStoreError) || !error.isLost) throw error;
      const { archive, segments } = orgKeysOf(db.prefix, orgId);
      const isAwaited = (await db.redis.zscore(segments, segmentMember(orgId, id))) !== null;
      if (isAwaited) throw error;
      throw new UnreadableRecord(`${archive} ${id}`, { kind: 'broken', reason: error.message });
    }
  }
}
