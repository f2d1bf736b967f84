// What Redis holds about a finished task, key by key: read as it is, removed when the task is archived, and written again as it
// was when the task is restored.

import { stateIndexesOf } from '../../state/tasks/attention.ts';
import { isObject } from '../../state/text/forms.ts';
import { deliveryListWrites, taskRemovalWrites } from '../commands/task-removal.ts';
import { indexesOf } from '../commands/task-writes.ts';
import { callbackAuthContext } from '../identity/orgs.ts';
import {
  ARCHIVED,
  type ArchivedTask,
  archivedMember,
  type Fields,
  fieldIn,
  pairsOf,
} from '../redis/archive.ts';
import { atomicRead, type Read } from '../redis/atomic-read.ts';
import { type Change, type Guard, merge, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { type Sealer, UnopenableError } from '../redis/sealing.ts';
import { required, UnreadableRecord } from '../redis/unreadable.ts';
import {
  type RetentionEntry,
  retentionEntries,
  retentionEntry,
  retentionRemovals,
} from '../tasks/retention-index.ts';
import { PACKED_FORM, packTask, unpackTask } from '../tasks/task-record.ts';
import { type WholeTask, wholeOfArchived } from '../tasks/tasks.ts';
import { readDelivery } from '../webhooks/delivery-record.ts';
import {
  type DeliveryTarget,
  deadMember,
  deliveriesIndex,
  listedMember,
  readField,
} from '../webhooks/delivery-target.ts';

/** A finished task as Redis holds it. */
export interface TaskInRedis extends WholeTask {
  keys: ArchivedTask;
  /** What the two sets say of its purge; the score is null where they say nothing. */
  entries: readonly (RetentionEntry & { score: number | null })[];
}

/**
 * Reads all that Redis holds about a finished task, in one atomic read.
 * @returns null when there is no such task, or it is not final. @throws UnreadableRecord
 */
export async function readTaskKeys(db: Db, orgId: string, taskId: string): Promise<TaskInRedis | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const about = { org_id: orgId, task_id: taskId, log: false };
  const replies = await atomicRead(
    db.redis,
    [
      ['HGETALL', keys.task(taskId)],
      ['HGETALL', keys.deliveries(taskId)],
      ['HGETALL', keys.ordering(taskId)],
      ['HGETALL', keys.evidence(taskId)],
      ['LRANGE', keys.messages(taskId), 0, -1],
      ...retentionEntries(db, about).map(({ key, member }): Read => ['ZSCORE', key, member]),
    ],
    'bytes',
  );
  const [task, deliveries, ordering, evidence, messages, ...purgeTimes] = await Promise.all(replies).catch(
    (error) => {
      throw wrongType(keys.task(taskId), error);
    },
  );
  const fields = (reply: unknown): Fields =>
    (reply as Buffer[]).map((one, at) => (at % 2 === 0 ? String(one) : one));
  const times = purgeTimes.map((one) => (one === null ? null : Number(String(one))));
  const read: ArchivedTask = {
    task_id: taskId,
    family: taskId,
    task: fields(task),
    deliveries: fields(deliveries),
    ordering: fields(ordering),
    evidence: fields(evidence),
    messages: messages as Buffer[],
    purge_at: times.find((one) => one !== null) ?? null,
  };
  if (fieldIn(read.task, 'z') === null) return null;
  const found = wholeOfArchived(db, orgId, read);
  const entries = retentionEntries(db, about).map((entry, at) => ({ ...entry, score: times[at] ?? null }));
  return found && { ...found, entries, keys: { ...read, family: found.task.copy_of ?? taskId } };
}

function wrongType(key: string, error: Error): Error {
  if (!error.message.startsWith('WRONGTYPE')) return error;
  return new UnreadableRecord(key, {
    kind: 'broken',
    reason: 'a key of the task is not of the type it must have',
  });
}

/** Guards and writes that replace what Redis holds about a task by its entry in the index of archived tasks. */
export function archiveChange(
  db: Db,
  { keys: read, entries, ...whole }: TaskInRedis,
  segment: string,
): Change {
  const { org_id, task_id, version } = whole.task;
  const keys = orgKeysOf(db.prefix, org_id);
  const deliveries = pairsOf(read.deliveries);
  const guards: Guard[] = [
    { kind: 'version', key: keys.task(task_id), version },
    // Resealing and the purge of a history replace it without a new version.
    { kind: 'field', key: keys.task(task_id), field: 'z', value: fieldIn(read.task, 'z') },
    { kind: 'version', key: keys.evidence(task_id), version: Number(fieldIn(read.evidence, 'v') ?? 0) },
    ...entries.map((entry): Guard => ({ kind: 'score', ...entry })),
    // A delivery may be sent again without a new version of the task.
    {
      kind: 'below_limit',
      key: keys.deliveries(task_id),
      countWith: 'HLEN',
      limit: deliveries.length + 1,
    },
    ...deliveries.map(
      ([field, value]): Guard => ({ kind: 'field', key: keys.deliveries(task_id), field, value }),
    ),
  ];
  const writes: Write[] = [
    ...deliveryListWrites(
      db,
      whole.task,
      whole.history,
      deliveries.map(([field]) => field),
    ),
    ...taskRemovalWrites(db, whole.task),
    ['UNLINK', keys.evidence(task_id)],
    ...retentionRemovals(db, { org_id, task_id, log: false }),
    ['ZADD', keys.index(ARCHIVED), 0, archivedMemberOf(read, segment)],
  ];
  return { guards, writes };
}

/** Guards and writes that put archived tasks back as they were. @throws UnreadableRecord */
export function restoreChange(
  db: Db,
  orgId: string,
  segment: string,
  tasks: readonly ArchivedTask[],
): Change {
  return merge(...tasks.map((one) => restoreOne(db, orgId, segment, one)));
}

function restoreOne(db: Db, orgId: string, segment: string, read: ArchivedTask): Change {
  const { task_id, purge_at } = read;
  const keys = orgKeysOf(db.prefix, orgId);
  const key = keys.task(task_id);
  const whole = wholeOfArchived(db, orgId, read);
  if (whole === null) throw new UnreadableRecord(key, { kind: 'broken', reason: 'not a final task' });
  const { task } = whole;
  const purge = retentionEntry(db, { org_id: orgId, task_id, log: false });
  const archived = { key: keys.index(ARCHIVED), member: archivedMemberOf(read, segment) };
  const indexes = [
    ...indexesOf(task),
    ...stateIndexesOf(task),
    ...(task.copy_of === undefined ? [`status:${task.status}`] : []),
  ];
  const hashes: [string, Fields][] = [
    [key, read.task],
    [keys.deliveries(task_id), read.deliveries],
    [keys.ordering(task_id), read.ordering],
    [keys.evidence(task_id), read.evidence],
  ];
  return {
    guards: [
      { kind: 'score', ...archived, score: 0 },
      { kind: 'absent', key },
    ],
    writes: [
      ...hashes.flatMap(([name, fields]): Write[] =>
        fields.length === 0 ? [] : [['HSET', name, ...fields]],
      ),
      ...(read.messages.length === 0 ? [] : [['RPUSH', keys.messages(task_id), ...read.messages] as const]),
      ...indexes.map((name): Write => ['ZADD', keys.index(name), 0, task_id]),
      ...listWrites(db, whole, read),
      ...(purge_at === null ? [] : [['ZADD', purge.key, purge_at, purge.member] as const]),
      ['ZREM', archived.key, archived.member],
    ],
  };
}

/** Writes that put the task's deliveries into lists. */
function listWrites(db: Db, { task, history }: WholeTask, { deliveries }: ArchivedTask): Write[] {
  const { org_id, task_id } = task;
  const keys = orgKeysOf(db.prefix, org_id);
  return pairsOf(deliveries).flatMap(([field, stored]): Write[] => {
    if (field === 'gone') return [];
    const target: DeliveryTarget = { org_id, task_id, ...readField(field) };
    const at = Date.parse(history[target.sequence - 1]?.at ?? '');
    if (Number.isNaN(at)) return [];
    const { status } = required(`${keys.deliveries(task_id)} ${field}`, readDelivery(stored));
    const { endpoint_id } = target;
    const writes: Write[] = [];
    if (status === 'exhausted') writes.push(['ZADD', keys.dead, 0, deadMember(target, at)]);
    if (endpoint_id !== undefined)
      writes.push(['ZADD', keys.index(deliveriesIndex(endpoint_id, status)), 0, listedMember(target, at)]);
    return writes;
  });
}

/** The member of the index of archived tasks for a task of this segment. */
export function archivedMemberOf({ task_id, task }: ArchivedTask, segment: string): string {
  const workers = fieldIn(task, 'w')?.toString() ?? '';
  return archivedMember(task_id, segment, workers === '' ? [] : workers.split(' '));
}

/**
 * A task as it is in a segment: its packed field as JSON text, which compresses better together with those of other tasks,
 * and its sealed secret in plain, because the segment is encrypted and SECRETS_KEY may be another one when it is restored.
 */
export function toSegmentForm(sealer: Sealer, orgId: string, read: ArchivedTask): ArchivedTask {
  return withPacked(read, (value) => {
    const packed = unpackTask(orgId, value);
    replaceSecret(packed, 'sealed', 'plain', (text) => sealer.open(text, callbackAuthContext(orgId)));
    return JSON.stringify(packed);
  });
}

/** A task of a segment as it is in Redis, packed as tasks are packed now. */
export function fromSegmentForm(sealer: Sealer, orgId: string, read: ArchivedTask): ArchivedTask {
  const { task, ...rest } = withPacked(read, (value) => {
    const packed: unknown = JSON.parse(value.toString());
    replaceSecret(packed, 'plain', 'sealed', (text) => sealer.seal(text, callbackAuthContext(orgId)));
    return packTask(orgId, packed);
  });
  const others = pairsOf(task).filter(([name]) => name !== 'f');
  return { ...rest, task: [...others.flat(), 'f', String(PACKED_FORM)] };
}

function withPacked(read: ArchivedTask, change: (packed: Buffer) => string | Buffer): ArchivedTask {
  const pairs = pairsOf(read.task).map(([name, value]) => [name, name === 'z' ? change(value) : value]);
  return { ...read, task: pairs.flat() };
}

/** Replaces the credentials of the callback in a packed task; those that no configured key opens stay sealed. */
function replaceSecret(packed: unknown, from: string, to: string, change: (text: string) => string): void {
  const [input]: unknown[] = Array.isArray(packed) ? packed : [];
  const auth = isObject(input) && isObject(input.handoff) ? input.handoff.callback_auth : null;
  if (!isObject(auth) || typeof auth[from] !== 'string') return;
  try {
    auth[to] = change(auth[from]);
    delete auth[from];
  } catch (error) {
    if (!(error instanceof UnopenableError)) throw error;
  }
}
