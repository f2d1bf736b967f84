// Moves finished tasks of an org from Redis into new segments of its archive.

import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { type Candidate, dissolvedAt, isDueForArchive, segmentGroups } from '../../state/tasks/archiving.ts';
import { isInReview } from '../../state/tasks/attention.ts';
import { isFinal, STATUSES } from '../../state/tasks/lifecycle.ts';
import { lastDeliveryDue } from '../commands/task-removal.ts';
import { dropStaged, stageFile } from '../evidence/orphaned-files.ts';
import { pairsOf } from '../redis/archive.ts';
import { commit, type Guard, merge } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { idFloor } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { scan } from '../redis/lists.ts';
import { fetched, nullIfUnreadable } from '../redis/unreadable.ts';
import { purgeTimesOf } from '../tasks/retention-index.ts';
import { readDelivery } from '../webhooks/delivery-record.ts';
import { type ArchiveStore, removeSegment, segmentContext, segmentMember, segmentPath } from './archive.ts';
import { archiveKey, KEY_FIELD } from './archive-key.ts';
import { sealSegment } from './segment.ts';
import { archiveChange, readTaskKeys, type TaskInRedis, toSegmentForm } from './task-keys.ts';

/** Tasks among which segments are chosen. */
const WINDOW = 5000;
/** Tasks loaded at the same time, and families of tasks replaced in one commit. */
const STEP = 20;
/** Largest number of bytes of a segment, not compressed, after which it takes no further tasks. */
const MAX_BYTES = 4 * 1024 * 1024;
const SEGMENT_ID_BYTES = 8;

/** Numbers of what was archived. */
export interface Archived {
  tasks: number;
  segments: number;
}

/**
 * Archives the finished tasks of an org.
 * @param after age from which tasks are archived, ms.
 * @param mayContinue is called between steps; false ends the work.
 * @throws FileStoreError, UnopenableError, NotDueError; the client's error in an outage. What was archived until then stays so
 */
export async function archiveOrg(
  store: ArchiveStore,
  orgId: string,
  after: number,
  mayContinue: () => Promise<boolean>,
): Promise<Archived> {
  const sum: Archived = { tasks: 0, segments: 0 };
  for await (const window of windows(store.db, orgId, after))
    for (const group of segmentGroups(window, store.db.clock.now(), after)) {
      for (let rest = group; rest.length > 0; ) {
        const { archived, examined } = await archiveGroup(store, orgId, rest, after);
        sum.tasks += archived;
        sum.segments += archived === 0 ? 0 : 1;
        if (!(await mayContinue())) return sum;
        rest = rest.slice(examined);
      }
    }
  return sum;
}

/** The tasks of the org that are due for the archive, in the order of their creation, some thousand at a time. */
async function* windows(db: Db, orgId: string, after: number): AsyncGenerator<Candidate[]> {
  const keys = orgKeysOf(db.prefix, orgId);
  const now = db.clock.now();
  const finals = STATUSES.filter(isFinal).map((status) => keys.index(`status:${status}`));
  let window: Candidate[] = [];
  const created = { order: 'asc', after: null, from: null, to: idFloor(now - after) } as const;
  for await (const ids of scan(db, finals, created)) {
    const [ends, purges] = await Promise.all([
      Promise.all(ids.map((id) => nullIfUnreadable(db, () => endOf(db, keys.task(id))))),
      purgeTimesOf(db, orgId, ids),
    ]);
    const found = ids.flatMap((task_id, at): Candidate[] => {
      const [ended, purge] = [ends[at] ?? null, purges[at] ?? null];
      if (ended === null || purge === null) return [];
      const one = { task_id, ended_at: Number(ended), purge_at: purge };
      return isDueForArchive(one, now, after) ? [one] : [];
    });
    window.push(...found);
    if (window.length < WINDOW) continue;
    yield window;
    window = [];
  }
  if (window.length > 0) yield window;
}

/** When a final task changed last, ms as text. */
function endOf(db: Db, key: string): Promise<string | null> {
  return fetched(key, db.redis.hget(key, 'e'));
}

/** A task and its copies, which are archived together. */
type Family = readonly TaskInRedis[];

/** Archives tasks in one segment. @returns how many, and how many of the group were examined, at least one */
async function archiveGroup(
  store: ArchiveStore,
  orgId: string,
  group: readonly Candidate[],
  after: number,
): Promise<{ archived: number; examined: number }> {
  const { db } = store;
  const families: Family[] = [];
  let [bytes, examined] = [0, 0];
  while (examined < group.length && bytes < MAX_BYTES) {
    const ids = group.slice(examined, examined + STEP).map((one) => one.task_id);
    const loaded = await Promise.all(ids.map((id) => nullIfUnreadable(db, () => familyOf(db, orgId, id))));
    for (const family of loaded) {
      if (family === null) continue;
      families.push(family);
      bytes += family.reduce((sum, one) => sum + bytesOf(one), 0);
    }
    examined += ids.length;
  }
  if (families.length === 0) return { archived: 0, examined };
  const segment = await storeSegment(store, orgId, families);
  if (segment === null) return { archived: 0, examined };
  let archived = 0;
  for (let at = 0; at < families.length; at += STEP) {
    const step = families.slice(at, at + STEP);
    if (await replace(db, orgId, segment, step, after)) archived += step.flat().length;
    // One has changed since it was loaded; it stays.
    else for (const one of step) if (await replace(db, orgId, segment, [one], after)) archived += one.length;
  }
  if (archived === 0) await removeSegment(db, orgId, segment.id);
  return { archived, examined };
}

/** A finished task with its copies; null when it has to stay in Redis. @throws UnreadableRecord */
async function familyOf(db: Db, orgId: string, taskId: string): Promise<Family | null> {
  const found = await readTaskKeys(db, orgId, taskId);
  if (found === null) return null;
  const { task } = found;
  const isWaitedFor = isInReview(task) || pairsOf(found.keys.deliveries).some(isUnsettled);
  if (isWaitedFor || (await lastDeliveryDue(db, task)) !== null) return null;
  const [history] = task.input.audit.log_required ? [] : await purgeTimesOf(db, orgId, [taskId], true);
  if (history != null) return null;
  // Of a task that ended before its copies were made there are none.
  const ids = (task.copies ?? []).map((one) => one.task_id);
  const copies = await Promise.all(ids.map((id) => readTaskKeys(db, orgId, id)));
  const there = await Promise.all(ids.map((id) => db.redis.exists(orgKeysOf(db.prefix, orgId).task(id))));
  const made = copies.filter((one) => one !== null);
  return made.length === there.filter((one) => one === 1).length ? [found, ...made] : null;
}

/** Whether a delivery is pending, or cannot be read. */
function isUnsettled([field, stored]: [field: string, stored: Buffer]): boolean {
  if (field === 'gone') return false;
  const read = readDelivery(stored);
  return read.kind !== 'known' || read.value.status === 'pending';
}

function bytesOf({ keys }: TaskInRedis): number {
  const parts = [keys.task, keys.deliveries, keys.ordering, keys.evidence, keys.messages];
  return parts.flat().reduce((sum, one) => sum + one.length, 0);
}

interface Registered {
  id: string;
  sha256: string;
}

/** Stores the file of a new segment and registers it; null when the key of the archive has changed meanwhile. */
async function storeSegment(
  { db, files, sealer }: ArchiveStore,
  orgId: string,
  families: readonly Family[],
): Promise<Registered | null> {
  const id = randomBytes(SEGMENT_ID_BYTES).toString('base64url');
  const { key, sealed } = await archiveKey(db, sealer, orgId);
  const tasks = families.flat().map((one) => toSegmentForm(sealer, orgId, one.keys));
  const bytes = await sealSegment(tasks, key, segmentContext(orgId, id));
  const incoming = await files.receive();
  try {
    await incoming.fill(Readable.from([bytes]), () => undefined);
    const staged = await stageFile(db, files, segmentPath(orgId, id), incoming);
    const { archive, segments, orphanedFiles } = orgKeysOf(db.prefix, orgId);
    const purges = families.flatMap(([one]) => (one?.keys.purge_at == null ? [] : [one.keys.purge_at]));
    const at = dissolvedAt(purges.map((purge_at) => ({ purge_at })));
    const isRegistered = await commit(db.redis, {
      guards: [
        { kind: 'field', key: archive, field: KEY_FIELD, value: sealed },
        { kind: 'score', key: orphanedFiles, member: staged.path, score: staged.staged_at },
      ],
      writes: [
        ['HSET', archive, id, staged.sha256],
        ['ZADD', segments, at, segmentMember(orgId, id)],
        ['ZREM', orphanedFiles, staged.path],
      ],
    });
    if (isRegistered) return { id, sha256: staged.sha256 };
    await dropStaged(db, files, staged);
    return null;
  } finally {
    await incoming.close();
  }
}

/** Replaces tasks in Redis by their entries, in one commit. @returns false when one has changed since it was loaded */
function replace(
  db: Db,
  orgId: string,
  { id, sha256 }: Registered,
  families: readonly Family[],
  after: number,
): Promise<boolean> {
  const { archive, purges } = orgKeysOf(db.prefix, orgId);
  const isRegistered: Guard = { kind: 'field', key: archive, field: id, value: sha256 };
  const ends = families.flatMap(([one]) => (one === undefined ? [] : [one.task.updated_at]));
  const isDue: Guard = { kind: 'due', key: purges, at: Math.max(...ends) + after, clock: db.clock };
  return commit(
    db.redis,
    merge(
      { guards: [isRegistered], writes: [] },
      ...families.flat().map((one) => archiveChange(db, one, id)),
      { guards: [isDue], writes: [] },
    ),
  );
}
