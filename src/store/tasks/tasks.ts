// Loads tasks: one, several, with their history, or with one event of it.

import type { HistoryEntry } from '../../state/tasks/event.ts';
import { inputAt } from '../../state/tasks/patch.ts';
import type { Task } from '../../state/tasks/task.ts';
import { broken, readForm } from '../../state/text/forms.ts';
import { type ArchivedTask, fieldIn } from '../redis/archive.ts';
import { atomicRead } from '../redis/atomic-read.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { fetched, nullIfUnreadable, required } from '../redis/unreadable.ts';
import { liveOrArchived } from './archived.ts';
import {
  historyIn,
  type PackedEntry,
  readEntry,
  readInput,
  readPacked,
  readState,
  TASK_FORM,
  unpackEntries,
  unpackEntry,
} from './task-record.ts';

/** A loaded task. */
export interface StoredTask {
  task: Task;
  /** Hash of the last history entry; '' when the history has been purged. */
  head: string;
  /** The packed field of a final task, as stored. */
  packed?: Buffer;
  /** It is no longer in Redis, and must be restored before it is changed. */
  isArchived?: true;
}

/** Loads a task; null when there is none. @throws UnreadableRecord; of an archived task, the errors of the archive */
export async function loadTask(db: Db, orgId: string, taskId: string): Promise<StoredTask | null> {
  const key = orgKeysOf(db.prefix, orgId).task(taskId);
  return liveOrArchived(
    db,
    orgId,
    taskId,
    async () => readStored(orgId, taskId, key, await fetched(key, db.redis.hmgetBuffer(key, ...FIELDS))),
    (archived) => {
      const stored = wholeOfArchived(db, orgId, archived);
      return stored && { ...stored, isArchived: true };
    },
  );
}

/**
 * Loads tasks in one round trip, in the order of `taskIds`; null for one that does not exist or cannot be read. An
 * unreadable task is reported.
 */
export function loadTasks(db: Db, orgId: string, taskIds: readonly string[]): Promise<(StoredTask | null)[]> {
  return Promise.all(taskIds.map((id) => nullIfUnreadable(db, () => loadTask(db, orgId, id))));
}

const FIELDS = ['v', 's', 'i', 'h', 'z', 'f'] as const;

/** The task in the `FIELDS` of its hash; null when there is none. @throws UnreadableRecord */
function readStored(
  orgId: string,
  id: string,
  key: string,
  fields: readonly (Buffer | null)[],
): StoredTask | null {
  const [version, state, input, head, packed, form] = fields;
  if (fields.every((one) => one === null)) return null;
  const unknown = readForm(form, TASK_FORM);
  if (unknown !== null) return required(key, unknown);
  const fixed = { task_id: id, org_id: orgId, version: Number(version?.toString()) };
  if (!Number.isInteger(fixed.version)) return required(key, broken('incomplete'));
  if (packed) {
    const [packedInput, packedState, , packedHead] = required(key, readPacked(orgId, packed));
    return { task: { ...fixed, ...packedState, input: packedInput }, head: packedHead, packed };
  }
  if (!state || !input || !head) return required(key, broken('incomplete'));
  return {
    task: {
      ...fixed,
      ...required(key, readState(state.toString())),
      input: required(key, readInput(input.toString())),
    },
    head: head.toString(),
  };
}

/** A task with its history. */
export interface WholeTask extends StoredTask {
  /** Oldest entry first; empty when it has been purged. */
  history: HistoryEntry[];
}

/** Loads a task and its history in one atomic read; null when there is none. @throws as `loadTask` */
export function loadWhole(db: Db, orgId: string, id: string): Promise<WholeTask | null> {
  return liveOrArchived(
    db,
    orgId,
    id,
    () => loadLiveWhole(db, orgId, id),
    (archived) => {
      const whole = wholeOfArchived(db, orgId, archived);
      return whole && { ...whole, isArchived: true };
    },
  );
}

/** The task in the content of its keys; null when it is none. @throws UnreadableRecord */
export function wholeOfArchived(db: Db, orgId: string, archived: ArchivedTask): WholeTask | null {
  const key = orgKeysOf(db.prefix, orgId).task(archived.task_id);
  const fields = FIELDS.map((field) => fieldIn(archived.task, field));
  const stored = readStored(orgId, archived.task_id, key, fields);
  return stored && { ...stored, history: historyOf(stored.task, key, stored.packed ?? null, key, []) };
}

async function loadLiveWhole(db: Db, orgId: string, id: string): Promise<WholeTask | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const [task, history] = await atomicRead(
    db.redis,
    [
      ['HMGET', keys.task(id), ...FIELDS],
      ['LRANGE', keys.history(id), 0, -1],
    ],
    'bytes',
  );
  const fields = (await fetched(keys.task(id), task)) as (Buffer | null)[];
  const list = ((await fetched(keys.history(id), history)) as Buffer[]).map(String);
  const stored = readStored(orgId, id, keys.task(id), fields);
  if (stored === null) return null;
  const packed = fields[4];
  return {
    ...stored,
    history: historyOf(stored.task, keys.task(id), packed ?? null, keys.history(id), list),
  };
}

/** Loads tasks with their histories, in the order of `ids`; null for one that does not exist or cannot be read. */
export function loadWholes(db: Db, orgId: string, ids: readonly string[]): Promise<(WholeTask | null)[]> {
  return Promise.all(ids.map((id) => nullIfUnreadable(db, () => loadWhole(db, orgId, id))));
}

function entriesOf(
  orgId: string,
  key: string,
  packed: Buffer | null,
  listKey: string,
  list: readonly string[],
): PackedEntry[] {
  return packed === null
    ? list.map((text) => required(listKey, readEntry(text)))
    : required(key, readPacked(orgId, packed))[2];
}

function historyOf(
  { org_id, task_id }: Pick<Task, 'org_id' | 'task_id'>,
  key: string,
  packed: Buffer | null,
  listKey: string,
  list: readonly string[],
): HistoryEntry[] {
  return packed === null
    ? unpackEntries(task_id, entriesOf(org_id, key, null, listKey, list))
    : historyIn(task_id, required(key, readPacked(org_id, packed)));
}

/** The stored entries of the history of a loaded task, unless it has changed since, oldest first. @throws UnreadableRecord */
export async function loadEntries(db: Db, { task, packed }: StoredTask): Promise<PackedEntry[]> {
  const keys = orgKeysOf(db.prefix, task.org_id);
  const listKey = keys.history(task.task_id);
  const list = packed === undefined ? await fetched(listKey, db.redis.lrange(listKey, 0, -1)) : [];
  return entriesOf(task.org_id, keys.task(task.task_id), packed ?? null, listKey, list);
}

/** Loads a task, as `loadTask`, and the stored entries of its history, oldest first, in one round trip. */
export async function loadWithEntries(
  db: Db,
  orgId: string,
  taskId: string,
): Promise<{ stored: StoredTask | null; entries: PackedEntry[] }> {
  const keys = orgKeysOf(db.prefix, orgId);
  const listKey = keys.history(taskId);
  const [stored, list] = await Promise.all([
    loadTask(db, orgId, taskId),
    fetched(listKey, db.redis.lrange(listKey, 0, -1)),
  ]);
  return { stored, entries: entriesOf(orgId, keys.task(taskId), stored?.packed ?? null, listKey, list) };
}

/** The history of a task in Redis, oldest first. @throws UnreadableRecord */
export async function loadHistory(db: Db, orgId: string, taskId: string): Promise<HistoryEntry[]> {
  const keys = orgKeysOf(db.prefix, orgId);
  const [key, listKey] = [keys.task(taskId), keys.history(taskId)];
  const [packed, list] = await Promise.all([
    fetched(key, db.redis.hgetBuffer(key, 'z')),
    fetched(listKey, db.redis.lrange(listKey, 0, -1)),
  ]);
  return historyOf({ org_id: orgId, task_id: taskId }, key, packed, listKey, list);
}

/** Loads a task with one event of its history; null when there is no such event. @throws as `loadTask` */
export async function loadEvent(
  db: Db,
  orgId: string,
  taskId: string,
  sequence: number,
): Promise<{ task: Task; event: HistoryEntry } | null> {
  const listKey = orgKeysOf(db.prefix, orgId).history(taskId);
  // Of an open task only this event is read. A final task is one packed field.
  const [stored, list] = await Promise.all([
    loadTask(db, orgId, taskId),
    fetched(listKey, db.redis.lrange(listKey, Math.max(0, sequence - 2), `${sequence - 1}`)),
  ]);
  if (stored === null) return null;
  if (stored.packed !== undefined) {
    const event = historyOf(stored.task, listKey, stored.packed, listKey, [])[sequence - 1];
    return event === undefined ? null : { task: stored.task, event };
  }
  const entries = list.map((text) => required(listKey, readEntry(text)));
  const entry = sequence === 1 ? entries[0] : entries[1];
  if (entry !== undefined) {
    const previous = sequence === 1 ? null : (entries[0]?.[8] ?? null);
    return { task: stored.task, event: unpackEntry(taskId, entry, sequence, previous) };
  }
  const event = (await loadHistory(db, orgId, taskId))[sequence - 1];
  return event === undefined ? null : { task: stored.task, event };
}

/** The content of a webhook: one event, and the fields of its task as they were then. */
export interface WebhookSubject {
  task: Pick<Task, 'task_id' | 'org_id' | 'input'>;
  event: Omit<HistoryEntry, 'previous_hash' | 'hash'>;
}

/**
 * Reads the subject of a webhook from stored fields: the task's `input` and the event's `entry` while the task is open,
 * `packed` when it is final; null when they do not contain the event. The metadata of an open task is that of now.
 * @param key of the task, named in errors. @throws UnreadableRecord
 */
export function readWebhookSubject(
  key: string,
  about: { org_id: string; task_id: string; sequence: number },
  stored: { input: Buffer | null; entry: Buffer | null; packed: Buffer | null; form: Buffer | null },
): WebhookSubject | null {
  const { org_id, task_id, sequence } = about;
  const unknown = readForm(stored.form, TASK_FORM);
  if (unknown !== null) return required(key, unknown);
  if (stored.packed !== null) {
    const [input, state, history] = required(key, readPacked(org_id, stored.packed));
    const entry = history[sequence - 1];
    if (entry === undefined) return null;
    const hasChanged = sequence < (state.metadata_since ?? 0);
    const then = hasChanged ? inputAt(input, unpackEntries(task_id, history).slice(sequence)) : input;
    return { task: { org_id, task_id, input: then }, event: unpackEntry(task_id, entry, sequence, null) };
  }
  if (stored.input === null || stored.entry === null) return null;
  const input = required(key, readInput(stored.input.toString()));
  const entry = required(key, readEntry(stored.entry.toString()));
  return { task: { org_id, task_id, input }, event: unpackEntry(task_id, entry, sequence, null) };
}
