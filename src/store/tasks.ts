// Tasks as they are read: alone, many at once, with their history, or one event of it.

import type { HistoryEntry, Task, TaskInput } from '../state/task.ts';
import { orgKeysOf } from './keys.ts';
import type { Db } from './redis.ts';
import { type PackedEntry, type State, unpack, unpackEntries, unpackEntry } from './task-record.ts';

/** A task as loaded, with the hash of its last history entry. */
export interface StoredTask {
  task: Task;
  head: string;
}

/** Loads one task; null when the org has none of that id. */
export async function loadTask(db: Db, orgId: string, taskId: string): Promise<StoredTask | null> {
  const [task] = await loadTasks(db, orgId, [taskId]);
  return task ?? null;
}

/** Loads several tasks in one round trip, in the order asked; null where there is none. */
export async function loadTasks(
  db: Db,
  orgId: string,
  taskIds: readonly string[],
): Promise<(StoredTask | null)[]> {
  const keys = orgKeysOf(db.prefix, orgId);
  return Promise.all(
    taskIds.map(async (id) => readStored(orgId, id, await db.redis.hmgetBuffer(keys.task(id), ...FIELDS))),
  );
}

const FIELDS = ['v', 's', 'i', 'h', 'z'] as const;

/** The task in the `FIELDS` of its hash; null when there is none. */
function readStored(orgId: string, id: string, fields: readonly (Buffer | null)[]): StoredTask | null {
  const [version, state, input, head, packed] = fields;
  if (!version) return null;
  const fixed = { task_id: id, org_id: orgId, version: Number(version.toString()) };
  if (packed) {
    const [packedInput, packedState, , packedHead] = unpack(packed);
    return { task: { ...fixed, ...packedState, input: packedInput }, head: packedHead };
  }
  if (!state || !input || !head) throw new Error(`task ${id} is incomplete`);
  return {
    task: {
      ...fixed,
      ...(JSON.parse(state.toString()) as State),
      input: JSON.parse(input.toString()) as TaskInput,
    },
    head: head.toString(),
  };
}

/** A task with all of its history, oldest first; `head` is '' when its history is not kept any more. */
export interface WholeTask extends StoredTask {
  history: HistoryEntry[];
}

/** Loads several tasks as they are at one moment, in the order asked; null where there is none. */
export async function loadWhole(
  db: Db,
  orgId: string,
  taskIds: readonly string[],
): Promise<(WholeTask | null)[]> {
  if (taskIds.length === 0) return [];
  const keys = orgKeysOf(db.prefix, orgId);
  const transaction = db.redis.multi();
  for (const id of taskIds) {
    transaction.hmgetBuffer(keys.task(id), ...FIELDS);
    transaction.lrange(keys.history(id), 0, -1);
  }
  const replies = (await transaction.exec()) ?? [];
  return taskIds.map((id, index) => {
    const [error, fields] = replies[2 * index] ?? [null, []];
    const [listError, list] = replies[2 * index + 1] ?? [null, []];
    if (error ?? listError) throw error ?? listError;
    const stored = readStored(orgId, id, fields as (Buffer | null)[]);
    if (stored === null) return null;
    const packed = (fields as (Buffer | null)[])[4];
    const entries = packed
      ? unpack(packed)[2]
      : (list as string[]).map((text) => JSON.parse(text) as PackedEntry);
    return { ...stored, history: unpackEntries(entries) };
  });
}

/** The whole history of a task, oldest first. */
export async function loadHistory(db: Db, orgId: string, taskId: string): Promise<HistoryEntry[]> {
  const keys = orgKeysOf(db.prefix, orgId);
  const [packed, list] = await Promise.all([
    db.redis.hgetBuffer(keys.task(taskId), 'z'),
    db.redis.lrange(keys.history(taskId), 0, -1),
  ]);
  const entries = packed ? unpack(packed)[2] : list.map((text) => JSON.parse(text) as PackedEntry);
  return unpackEntries(entries);
}

/** A task with one event of its history; null when there is no such event. */
export async function loadEvent(
  db: Db,
  orgId: string,
  taskId: string,
  sequence: number,
): Promise<{ task: Task; event: HistoryEntry } | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  // One event of an open task is read alone; a finished task is one piece anyway.
  const [stored, list] = await Promise.all([
    loadTask(db, orgId, taskId),
    db.redis.lrange(keys.history(taskId), Math.max(0, sequence - 2), `${sequence - 1}`),
  ]);
  if (stored === null) return null;
  const entries = list.map((text) => JSON.parse(text) as PackedEntry);
  const entry = sequence === 1 ? entries[0] : entries[1];
  if (entry !== undefined) {
    const previous = sequence === 1 ? null : (entries[0]?.[8] ?? null);
    return { task: stored.task, event: unpackEntry(entry, sequence, previous) };
  }
  const event = (await loadHistory(db, orgId, taskId))[sequence - 1];
  return event === undefined ? null : { task: stored.task, event };
}

/** What a webhook is about: one event, and what never changes in its task. */
export interface Told {
  task: Pick<Task, 'task_id' | 'org_id' | 'input'>;
  event: Omit<HistoryEntry, 'previous_hash' | 'hash'>;
}

/**
 * One event of a task from what Redis holds of it: `input` and that event's `entry` while the task is open,
 * `packed` when it is final. Null when they hold no such event.
 */
export function readTold(
  about: { org_id: string; task_id: string; sequence: number },
  stored: { input: Buffer | null; entry: Buffer | null; packed: Buffer | null },
): Told | null {
  const { org_id, task_id, sequence } = about;
  let input: TaskInput;
  let entry: PackedEntry | undefined;
  if (stored.packed !== null) {
    const [packedInput, , history] = unpack(stored.packed);
    input = packedInput;
    entry = history[sequence - 1];
  } else {
    if (stored.input === null || stored.entry === null) return null;
    input = JSON.parse(stored.input.toString()) as TaskInput;
    entry = JSON.parse(stored.entry.toString()) as PackedEntry;
  }
  if (entry === undefined) return null;
  return { task: { org_id, task_id, input }, event: unpackEntry(entry, sequence, null) };
}
