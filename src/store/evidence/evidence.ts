// The records of a task's evidence: a hash in Redis, while the bytes are in the file store. The life of a file:
//   1. before its bytes are stored, its path is added to the orphaned files;
//   2. the bytes are stored under that path;
//   3. one commit makes the file evidence of the task and removes its path from the orphaned files.
// An upload that breaks off leaves an orphaned file, which its own request or the sweep removes. A purge takes the
// steps in reverse: one commit turns the evidence into orphaned files, then the bytes are removed, then the path.

import {
  chooseEvidence,
  type Evidence,
  type EvidenceRefusal,
  isUploadOf,
  refuseEvidence,
  type Uploader,
} from '../../state/tasks/evidence.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import type { EvidenceRef, Task } from '../../state/tasks/task.ts';
import { readJson, readShape, type Shape } from '../../state/text/forms.ts';
import type { CallerGuards } from '../commands/change.ts';
import type { ExtraWrites } from '../commands/write-changes.ts';
import { countUsage, evidenceAdded, evidencePurged } from '../identity/usage.ts';
import { pairsOf } from '../redis/archive.ts';
import { type Change, commit, EMPTY_CHANGE, type Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { newId } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { fetched, UnreadableRecord } from '../redis/unreadable.ts';
import { liveOrArchived } from '../tasks/archived.ts';
import { loadTask } from '../tasks/tasks.ts';
import { type EvidenceFiles, evidencePath, type Incoming, taskFilesPath } from './files.ts';
import { type StagedFile, stageFile, TOMBSTONE } from './orphaned-files.ts';

const SHAPE: Shape<Evidence> = {
  evidence_id: 'string',
  name: 'string',
  media_type: 'string',
  bytes: 'number',
  sha256: 'string',
  worker_id: 'string',
};

/** The evidence of a task, oldest first, with the version of its record; 0: there is none. */
export interface EvidenceRecord {
  version: number;
  items: Evidence[];
}

/** The evidence of a task in Redis. Files whose record cannot be read are left out and reported. */
export async function loadEvidence(db: Db, orgId: string, taskId: string): Promise<EvidenceRecord> {
  const key = orgKeysOf(db.prefix, orgId).evidence(taskId);
  return readFields(db, key, await fetched(key, db.redis.hgetall(key)));
}

/** The files of a task or copy, which may be archived, as by `loadEvidence`. @throws the errors of the archive */
export async function loadFiles(
  db: Db,
  { org_id, status }: Pick<Task, 'org_id' | 'status'>,
  taskId: string,
): Promise<Evidence[]> {
  const live = () => loadEvidence(db, org_id, taskId);
  if (!isFinal(status)) return (await live()).items;
  const key = orgKeysOf(db.prefix, org_id).evidence(taskId);
  const found = await liveOrArchived(
    db,
    org_id,
    taskId,
    async () => {
      const record = await live();
      return record.version === 0 ? null : record;
    },
    ({ evidence }) =>
      readFields(
        db,
        key,
        Object.fromEntries(pairsOf(evidence).map(([name, text]) => [name, text.toString()])),
      ),
  );
  return found?.items ?? [];
}

function readFields(db: Db, key: string, { v, ...fields }: Record<string, string>): EvidenceRecord {
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

/**
 * The files of a task and of its copies, oldest first, each with the task under which its bytes are stored. Files of
 * copies that brought no answer are left out.
 */
export async function loadAllEvidence(db: Db, task: Task): Promise<(Evidence & { task_id: string })[]> {
  const answered = (task.copies ?? []).filter((one) => one.answer !== null);
  const ids = [task.task_id, ...answered.map((one) => one.task_id)];
  const found = await Promise.all(
    ids.map(async (task_id) => {
      const items = await loadFiles(db, task, task_id);
      return items.map((one) => ({ ...one, task_id }));
    }),
  );
  return found.flat().sort((a, b) => (a.evidence_id < b.evidence_id ? -1 : 1));
}

/** An uploaded file that is not evidence yet. */
export interface Staged extends StagedFile {
  evidence_id: string;
}

/**
 * Stores the received bytes as an orphaned file, to be made evidence of the task or dropped.
 * @throws FileStoreError; the client's error in an outage. The bytes are then removed, at the latest by the next sweep.
 */
export async function stageEvidence(
  db: Db,
  files: EvidenceFiles,
  orgId: string,
  taskId: string,
  incoming: Incoming,
): Promise<Staged> {
  const evidence_id = newId(db.clock.now());
  const path = evidencePath(orgId, taskId, evidence_id);
  return { evidence_id, ...(await stageFile(db, files, path, incoming)) };
}

export type Added =
  | { ok: true; evidence: Evidence }
  | { ok: false; code: 'not_found' | 'stale' | 'contended' | 'over_quota' | EvidenceRefusal };

/**
 * Makes a staged file evidence of a task, in one commit.
 * @param what its sanitized name and media type.
 * @param extraWrites guards and writes of the same commit, derived from the evidence.
 * @returns the evidence, or why the file is still orphaned: `stale` when the task is not at `ifVersion`, `contended`
 *   when the staged file was removed meanwhile, `over_quota` when the org would have more than `limit` bytes of evidence.
 */
export async function addEvidence(
  db: Db,
  to: {
    org_id: string;
    task_id: string;
    worker_id: string;
    incarnation: string;
    limit: number;
    callerGuards?: CallerGuards | undefined;
    ifVersion?: number | undefined;
  },
  { path, staged_at, ...file }: Staged,
  what: { name: string; media_type: string },
  extraWrites: (evidence: Evidence) => ReturnType<ExtraWrites>,
): Promise<Added> {
  const { org_id, task_id, worker_id, incarnation, limit } = to;
  const keys = orgKeysOf(db.prefix, org_id);
  const key = keys.evidence(task_id);
  const by = { worker_id, incarnation };
  const evidence: Evidence = { ...file, ...what, ...by, uploaded_at: staged_at, counted: true };
  return updateWithRetry('evidence', async (isRetry): Promise<Added | typeof CONFLICT> => {
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
    const ofCaller = (await to.callerGuards?.(isRetry)) ?? [];
    const extra = extraWrites(evidence);
    const done = await commit(db.redis, {
      guards: [
        { kind: 'version', key: keys.task(task_id), version: stored.task.version },
        { kind: 'version', key, version: there.version },
        { kind: 'score', key: keys.orphanedFiles, member: path, score: staged_at },
        counted.guard,
        ...ofCaller,
        ...extra.guards,
      ],
      writes: [
        ['HSET', key, 'v', there.version + 1, evidence.evidence_id, JSON.stringify(evidence)],
        counted.write,
        ['ZREM', keys.orphanedFiles, path],
        ...extra.writes,
      ],
    });
    if (done) return { ok: true, evidence };
    const score = await db.redis.zscore(keys.orphanedFiles, path);
    return score === null || Number(score) !== staged_at ? { ok: false, code: 'contended' } : CONFLICT;
  });
}

/** Why a file is still there. */
export type NotRemoved = 'not_found' | 'stale' | 'submitted' | EvidenceRefusal;

/**
 * Removes a file that a worker has uploaded, in one commit; the sweep removes its bytes.
 * @param extraWrites guards and writes of the same commit.
 * @returns null when it is removed, else why not: `submitted` for a file of the task's submission
 */
export async function removeEvidence(
  db: Db,
  of: {
    org_id: string;
    task_id: string;
    evidence_id: string;
    worker_id: string;
    incarnation: string;
    callerGuards: CallerGuards;
    ifVersion: number | undefined;
  },
  extraWrites: () => ReturnType<ExtraWrites>,
): Promise<NotRemoved | null> {
  const { org_id, task_id, evidence_id, worker_id, incarnation } = of;
  const keys = orgKeysOf(db.prefix, org_id);
  const key = keys.evidence(task_id);
  const by = { worker_id, incarnation };
  return updateWithRetry('evidence', async (isRetry): Promise<NotRemoved | null | typeof CONFLICT> => {
    const [stored, { version, items }] = await Promise.all([
      loadTask(db, org_id, task_id),
      loadEvidence(db, org_id, task_id),
    ]);
    const file = items.find((one) => one.evidence_id === evidence_id && isUploadOf(one, by));
    if (stored === null || file === undefined) return 'not_found';
    const { task } = stored;
    const code = refuseEvidence(task, by, []);
    if (code !== null) return code;
    if (of.ifVersion !== undefined && of.ifVersion !== task.version) return 'stale';
    if (task.submission?.evidence.some((one) => one.evidence_id === evidence_id)) return 'submitted';
    const extra = extraWrites();
    const done = await commit(db.redis, {
      guards: [
        { kind: 'version', key: keys.task(task_id), version: task.version },
        { kind: 'version', key, version },
        ...((await of.callerGuards(isRetry)) ?? []),
        ...extra.guards,
      ],
      writes: [
        ['HSET', key, 'v', version + 1],
        ['HDEL', key, evidence_id],
        ['ZADD', keys.orphanedFiles, TOMBSTONE, evidencePath(org_id, task_id, evidence_id)],
        ...(file.counted ? [evidencePurged(db, org_id, file.bytes)] : []),
        ...extra.writes,
      ],
    });
    return done ? null : CONFLICT;
  });
}

/**
 * The evidence that a submission includes, as `chooseEvidence` selects it, with guards that hold while the task's
 * evidence is unchanged; nothing is read for a submission without evidence.
 * @param ids the evidence ids in the submission; undefined: all of the worker's files. `unknown` are indexes into it.
 * @param read from `loadEvidence`, if it was called a moment ago.
 */
export async function evidenceFor(
  db: Db,
  task: Task,
  worker: Uploader,
  ids: readonly string[] | undefined,
  read?: EvidenceRecord,
): Promise<{ chosen: EvidenceRef[]; unknown: number[]; guards: Guard[] }> {
  const { org_id, task_id } = task;
  if (ids?.length === 0) return { chosen: [], unknown: [], guards: [] };
  const { version, items } = read ?? (await loadEvidence(db, org_id, task_id));
  const key = orgKeysOf(db.prefix, org_id).evidence(task_id);
  return { ...chooseEvidence(items, worker, ids), guards: [{ kind: 'version', key, version }] };
}

/**
 * Guards and writes that turn all evidence of a task into orphaned files, whose bytes the sweep removes; empty when the
 * task has none.
 */
export async function evidencePurge(db: Db, orgId: string, taskId: string): Promise<Change> {
  const keys = orgKeysOf(db.prefix, orgId);
  const key = keys.evidence(taskId);
  const { version, items } = await loadEvidence(db, orgId, taskId);
  if (version === 0) return EMPTY_CHANGE;
  const bytes = items.reduce((sum, one) => (one.counted ? sum + one.bytes : sum), 0);
  return {
    guards: [{ kind: 'version', key, version }],
    writes: [
      ['DEL', key],
      ['ZADD', keys.orphanedFiles, TOMBSTONE, taskFilesPath(orgId, taskId)],
      evidencePurged(db, orgId, bytes),
    ],
  };
}
