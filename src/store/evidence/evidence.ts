// What is known of the evidence of a task: a hash in its org's slot, beside the bytes that lie in the store
// of files. The life of a file:
//   1. before any byte is kept, its place is noted among the strays, files that are nobody's;
//   2. the bytes are kept at that place;
//   3. one commit makes the file evidence of the task and takes its place off the strays.
// Whatever breaks off in between leaves a stray, which its own request or the sweep removes. Removing goes
// the other way: one commit turns evidence into strays, then the bytes go, then the note.

import {
  chooseEvidence,
  type Evidence,
  type EvidenceRefusal,
  refuseEvidence,
  type Uploader,
} from '../../state/tasks/evidence.ts';
import type { EvidenceRef, Task } from '../../state/tasks/task.ts';
import { readJson, readShape, type Shape } from '../../state/text/forms.ts';
import type { ExtraWrites } from '../commands/change.ts';
import { countUsage, evidenceAdded, evidencePurged } from '../identity/usage.ts';
import { takeOut } from '../maintenance/dead-entries.ts';
import { type Change, commit, type Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { newId } from '../redis/ids.ts';
import { orgKeysOf, PARTITIONS, partitionKeys, partitionOf } from '../redis/keys.ts';
import { fetched, forEachIntact, UnreadableRecord } from '../redis/unreadable.ts';
import { loadTask } from '../tasks/tasks.ts';
import type { EvidenceFiles, Incoming } from './files.ts';

/** A stray is left alone for so long, ms: longer than any upload takes. */
const ORPHAN_AGE = 3600 * 1000;
/** What a stray is noted with once it is certain to be removed; no upload can make evidence of it then. */
const DOOMED = 0;
const SWEEP_PAGE = 500;
/** What the place of a file, or of all files of a task, looks like. */
const PLACE = /^[\w-]+\/[\w-]+(\/[\w-]+)?$/;
const TRIES = 100;

const SHAPE: Shape<Evidence> = {
  evidence_id: 'string',
  name: 'string',
  media_type: 'string',
  bytes: 'number',
  sha256: 'string',
  worker_id: 'string',
};

/** The evidence of a task that can be read, oldest first, with the version of the record of it (0: there is none). */
export async function loadEvidence(
  db: Db,
  orgId: string,
  taskId: string,
): Promise<{ version: number; items: Evidence[] }> {
  const key = orgKeysOf(db.prefix, orgId).evidence(taskId);
  const { v, ...fields } = await fetched(key, db.redis.hgetall(key));
  const items: Evidence[] = [];
  for (const [id, text] of Object.entries(fields)) {
    const json = readJson(text);
    const read = json.kind === 'known' ? readShape<Evidence>(json.value, SHAPE) : json;
    if (read.kind === 'known') items.push(read.value);
    else db.onUnreadable?.(new UnreadableRecord(`${key} ${id}`, read));
  }
  items.sort((a, b) => (a.evidence_id < b.evidence_id ? -1 : 1));
  return { version: Number(v ?? 0), items };
}

/** The key of a file in the store of files. */
export function evidencePath(orgId: string, taskId: string, evidenceId: string): string {
  return `${orgId}/${taskId}/${evidenceId}`;
}

/** A file whose bytes are kept while it is nobody's yet. */
export interface Staged {
  evidence_id: string;
  bytes: number;
  sha256: string;
  place: string;
  noted: number;
}

/**
 * Keeps the bytes that have come in for a task, as a stray: to be made evidence, or dropped.
 * @throws FileStoreError, or the client's error when Redis is away; the bytes go now or with the next sweep.
 */
export async function stageEvidence(
  db: Db,
  files: EvidenceFiles,
  orgId: string,
  taskId: string,
  incoming: Incoming,
): Promise<Staged> {
  const noted = db.clock.now();
  const evidence_id = newId(noted);
  const place = evidencePath(orgId, taskId, evidence_id);
  const staged = { evidence_id, bytes: incoming.bytes, sha256: incoming.sha256, place, noted };
  await db.redis.zadd(keysOfPlace(db, place).orphanedFiles, noted, place);
  try {
    await files.keep(place, incoming);
  } catch (error) {
    await dropStaged(db, files, staged);
    throw error;
  }
  return staged;
}

/** Removes what was staged unless it has become evidence: safe even when it is not known whether it has. What fails is left to the sweep. */
export async function dropStaged(db: Db, files: EvidenceFiles, { place, noted }: Staged): Promise<void> {
  await removeOrphanedFile(db, files, place, noted, null).catch(() => undefined);
}

export type Added =
  | { ok: true; evidence: Evidence }
  | { ok: false; code: 'not_found' | 'stale' | 'contended' | 'over_quota' | EvidenceRefusal };

/**
 * Makes what was staged evidence of a task, in one commit.
 * @param what name and media type, fit to be shown.
 * @param alongside guards and writes for the same commit, given the file.
 * @returns the file, or why it is still a stray: `contended` when something else kept coming in between, `over_quota`
 *   when the org would have more than `limit` bytes of evidence.
 */
export async function addEvidence(
  db: Db,
  to: {
    org_id: string;
    task_id: string;
    worker_id: string;
    incarnation: string;
    limit: number;
    ifVersion?: number | undefined;
  },
  { place, noted, ...file }: Staged,
  what: { name: string; media_type: string },
  extraWrites: (evidence: Evidence) => ReturnType<ExtraWrites>,
): Promise<Added> {
  const { org_id, task_id, worker_id, incarnation, limit } = to;
  const keys = orgKeysOf(db.prefix, org_id);
  const key = keys.evidence(task_id);
  const by = { worker_id, incarnation };
  const evidence: Evidence = { ...file, ...what, ...by, uploaded_at: noted, counted: true };
  for (let tries = 0; tries < TRIES; tries += 1) {
    const [stored, there] = await Promise.all([
      loadTask(db, org_id, task_id),
      loadEvidence(db, org_id, task_id),
    ]);
    if (stored === null) return { ok: false, code: 'not_found' };
    const code = refuseEvidence(stored.task, by, there.items);
    if (code !== null) return { ok: false, code };
    if (to.ifVersion !== undefined && to.ifVersion !== stored.task.version)
      return { ok: false, code: 'stale' };
    const { bytes } = evidence;
    if ((await countUsage(db, org_id, 'evidence_bytes')) + bytes > limit)
      return { ok: false, code: 'over_quota' };
    const counted = evidenceAdded(db, org_id, bytes, limit);
    const extra = extraWrites(evidence);
    const done = await commit(
      db.redis,
      [
        { kind: 'version', key: keys.task(task_id), version: stored.task.version },
        { kind: 'version', key, version: there.version },
        { kind: 'score', key: keys.orphanedFiles, member: place, score: noted },
        counted.guard,
        ...extra.guards,
      ],
      [
        ['HSET', key, 'v', there.version + 1, evidence.evidence_id, JSON.stringify(evidence)],
        counted.write,
        ['ZREM', keys.orphanedFiles, place],
        ...extra.writes,
      ],
    );
    if (done) return { ok: true, evidence };
  }
  return { ok: false, code: 'contended' };
}

/** The evidence for a submission of `worker`, see `chooseEvidence`, with the guard of the record it was chosen from. */
export async function evidenceFor(
  db: Db,
  task: Task,
  worker: Uploader,
  ids: readonly string[] | undefined,
): Promise<{ chosen: EvidenceRef[]; unknown: number[]; guard: Guard }> {
  const { org_id, task_id } = task;
  const { version, items } = await loadEvidence(db, org_id, task_id);
  const key = orgKeysOf(db.prefix, org_id).evidence(task_id);
  return { ...chooseEvidence(items, worker, ids), guard: { kind: 'version', key, version } };
}

/**
 * Guards and writes that make strays of all evidence of a task that is over or gone; the sweep removes the bytes. None
 * where there is no evidence.
 */
export async function evidencePurge(db: Db, orgId: string, taskId: string): Promise<Change> {
  const keys = orgKeysOf(db.prefix, orgId);
  const key = keys.evidence(taskId);
  const { version, items } = await loadEvidence(db, orgId, taskId);
  if (version === 0) return { guards: [], writes: [] };
  const bytes = items.reduce((sum, one) => (one.counted ? sum + one.bytes : sum), 0);
  return {
    guards: [{ kind: 'version', key, version }],
    writes: [
      ['DEL', key],
      ['ZADD', keys.orphanedFiles, DOOMED, `${orgId}/${taskId}`],
      evidencePurged(db, orgId, bytes),
    ],
  };
}

/**
 * Removes the strays: files of uploads that a crash broke off, and evidence whose purge was not finished.
 * @param age how old a stray must be, ms.
 * @returns how many were removed.
 * @throws the first error met, when all the others have been tried.
 */
export async function sweepEvidence(db: Db, files: EvidenceFiles, age = ORPHAN_AGE): Promise<number> {
  if (db.clock.isHeld) return 0;
  let removed = 0;
  const errors: unknown[] = [];
  const keyOf = (partition: string) => partitionKeys(db.prefix, partition).orphanedFiles;
  await forEachIntact(db, PARTITIONS, keyOf, async (partition) => {
    const orphanedFiles = keyOf(partition);
    const until = db.clock.now() - age;
    for (let left = 0, more = true; more; ) {
      const page = await db.redis.zrangebyscore(
        orphanedFiles,
        0,
        until,
        'WITHSCORES',
        'LIMIT',
        left,
        SWEEP_PAGE,
      );
      for (let at = 0; at + 1 < page.length; at += 2) {
        const [place = '', score = ''] = page.slice(at, at + 2);
        if (!PLACE.test(place)) {
          const reason = 'the member of an index says nothing';
          await takeOut(db, partition, orphanedFiles, { name: place, score: Number(score), reason });
          db.onUnreadable?.({ key: `${orphanedFiles} ${place}`, kind: 'broken', reason });
          continue;
        }
        const noted = Number(score);
        const done = await removeOrphanedFile(db, files, place, noted, noted + age).catch((error) =>
          errors.push(error),
        );
        if (done === true) removed += 1;
        else left += 1;
      }
      more = page.length === 2 * SWEEP_PAGE;
    }
  });
  await files.removeStale(age);
  if (errors.length > 0) throw errors[0];
  return removed;
}

/**
 * Removes a file unless it has become evidence.
 * @param score what it was noted with. @param due when it may go, ms; null for at once.
 */
async function removeOrphanedFile(
  db: Db,
  files: EvidenceFiles,
  place: string,
  score: number,
  due: number | null,
): Promise<boolean> {
  const { orphanedFiles } = keysOfPlace(db, place);
  const doomed = await commit(
    db.redis,
    [
      { kind: 'score', key: orphanedFiles, member: place, score },
      ...(due === null ? [] : [{ kind: 'due', key: orphanedFiles, at: due, clock: db.clock } as const]),
    ],
    [['ZADD', orphanedFiles, DOOMED, place]],
  );
  if (doomed) await removeDoomed(db, files, place);
  return doomed;
}

async function removeDoomed(db: Db, files: EvidenceFiles, place: string): Promise<void> {
  const isFile = place.split('/').length === 3;
  await (isFile ? files.remove(place) : files.removeAll(place));
  await db.redis.zrem(keysOfPlace(db, place).orphanedFiles, place);
}

function keysOfPlace(db: Db, place: string) {
  const [orgId = ''] = place.split('/');
  return partitionKeys(db.prefix, partitionOf(orgId));
}
