// How a task lies in Redis. While it is open: a hash with its state and its input (which never changes and
// so is written once), and a list of its history. When it is final all of that is packed into one
// compressed field, since most tasks of an org are finished and only looked at now and then.

import { historyEntry } from '../state/history.ts';
import { isFinal } from '../state/lifecycle.ts';
import type { OutboxEntry } from '../state/outbox.ts';
import { newQuestions, nextDue, questions } from '../state/questions.ts';
import { retentionNotes } from '../state/retention.ts';
import { type HistoryEntry, poolOf, type Task, type TaskEvent, type TaskInput } from '../state/task.ts';
import { commit, type Guard, type Write } from './commit.ts';
import { owedMember } from './delivery-places.ts';
import { feedWrite } from './feed.ts';
import { orgKeysOf } from './keys.ts';
import { laneWrites } from './lanes.ts';
import { offerWrites } from './offers.ts';
import { packJson, unpackJson } from './packed.ts';
import type { Db } from './redis.ts';

/** A task as loaded, with the hash of its last history entry. */
export interface StoredTask {
  task: Task;
  head: string;
}

type State = Omit<Task, 'input' | 'task_id' | 'org_id' | 'version'>;
type PackedEntry = [
  id: string,
  type: string,
  status: string,
  previous: string | null,
  at: string,
  actor: string,
  attempt: number,
  data: Record<string, unknown>,
  hash: string,
];

/** The `?since`-style indexes a task stands in besides `all`: filter → value. */
export function indexesOf(task: Task): string[] {
  const pool = poolOf(task);
  return [
    'all',
    `domain:${task.input.domain}`,
    `task_type:${task.input.task_type}`,
    `urgency:${task.input.sla.urgency}`,
    `product:${task.input.origin.product}`,
    `request_id:${task.input.origin.request_id}`,
    ...(pool === null ? [] : [`pool:${pool}`]),
  ];
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

/** Writes that let go of the history of a finished task and leave the rest of it as it is. */
export function forgetHistory(db: Db, finished: Task): Write[] {
  const { input, task_id, org_id, version: _version, ...state } = finished;
  return [['HSET', orgKeysOf(db.prefix, org_id).task(task_id), 'z', pack(input, state, [], '')]];
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

/** What a commit does to a task, ready to be written. */
export interface TaskChange {
  before: StoredTask | null;
  task: Task;
  events: TaskEvent[];
  /** The whole history so far; needed only when the task becomes final. */
  history: HistoryEntry[];
}

/** Guards and writes of a task's change: record, history, indexes, lane, due time, feed, deliveries, outbox. */
export function taskWrites(db: Db, change: TaskChange): { guards: Guard[]; writes: Write[]; head: string } {
  const { before, task, events } = change;
  const { org_id: orgId, task_id: taskId } = task;
  const keys = orgKeysOf(db.prefix, orgId);
  const writes: Write[] = [];

  let head = before?.head ?? null;
  const entries = events.map((event) => {
    const entry = historyEntry(event, head);
    head = entry.hash;
    return entry;
  });
  const lastHash = head ?? '';

  const { input, task_id: _id, org_id: _org, version, ...state } = task;
  if (isFinal(task.status)) {
    const packed = pack(input, state, [...change.history, ...entries].map(packEntry), lastHash);
    const ended = task.updated_at;
    const ordered = input.handoff?.ordering === 'per_task' ? ['o', '1'] : [];
    writes.push(
      ['DEL', keys.task(taskId)],
      ['HSET', keys.task(taskId), 'v', version, 'z', packed, 'e', ended, ...ordered],
      ['DEL', keys.history(taskId)],
      ['ZADD', keys.retain, ...retentionNotes(task, ended).flat()],
    );
  } else {
    const fields = ['v', version, 's', JSON.stringify(state), 'h', lastHash];
    if (before === null) fields.push('i', JSON.stringify(input));
    if (before === null && input.handoff?.ordering === 'per_task') fields.push('o', '1');
    writes.push(['HSET', keys.task(taskId), ...fields]);
    if (entries.length > 0)
      writes.push(['RPUSH', keys.history(taskId), ...entries.map((one) => JSON.stringify(packEntry(one)))]);
  }

  if (before === null) for (const name of indexesOf(task)) writes.push(['ZADD', keys.index(name), 0, taskId]);
  const was = before?.task ?? null;
  if (was?.status !== task.status) {
    if (was !== null) writes.push(['ZREM', keys.index(`status:${was.status}`), taskId]);
    writes.push(['ZADD', keys.index(`status:${task.status}`), 0, taskId]);
  }
  writes.push(...laneWrites(db, was, task), ...offerWrites(db, was, task));

  const due = nextDue(task);
  const wasDue = was === null ? null : nextDue(was);
  const dueMember = `${orgId} ${taskId}`;
  if (due !== null && due !== wasDue) writes.push(['ZADD', keys.due, due, dueMember]);
  if (due === null && wasDue !== null) writes.push(['ZREM', keys.due, dueMember]);

  const about = { org_id: orgId, task_id: taskId };
  const told = events.filter((event) => isWanted(task, event)).map((event) => event.sequence);
  for (const sequence of told)
    writes.push(['ZADD', keys.owed, task.updated_at, owedMember({ ...about, sequence })]);
  if (events.length > 0) writes.push(feedWrite(keys.feed, taskId, events, task.updated_at));
  const asked = was === null ? questions(task) : newQuestions(was, task);
  const dropped = was === null ? [] : newQuestions(task, was);
  if (asked.length + dropped.length + events.length > 0) {
    const entry: OutboxEntry = {
      kind: 'task',
      org_id: orgId,
      task_id: taskId,
      version,
      asked,
      dropped,
      deliveries: told,
      events: events.map((event) => event.type.slice('task.'.length)),
      first: events[0]?.sequence ?? 0,
      at: task.updated_at,
      pool: poolOf(task),
    };
    writes.push(['XADD', keys.outbox, '*', 'd', JSON.stringify(entry)]);
  }
  writes.push(['PUBLISH', keys.changes, `task ${taskId}`]);

  return {
    guards: [{ kind: 'version', key: keys.task(taskId), version: was?.version ?? 0 }],
    writes,
    head: lastHash,
  };
}

/**
 * Puts another input in the place of a task's: the same, but for how a secret in it is sealed. So it is no event,
 * and the version stays.
 * @param change gives the input back as it is when there is nothing to do.
 * @returns whether it was another.
 */
export async function replaceInput(
  db: Db,
  orgId: string,
  taskId: string,
  change: (input: TaskInput) => TaskInput,
): Promise<boolean> {
  const key = orgKeysOf(db.prefix, orgId).task(taskId);
  for (;;) {
    const [version, plain, packed] = await db.redis.hmgetBuffer(key, 'v', 'i', 'z');
    if (!version || (!plain && !packed)) return false;
    const guard: Guard = { kind: 'version', key, version: Number(version.toString()) };
    let write: Write | null = null;
    if (packed) {
      const [input, ...rest] = unpack(packed);
      const after = change(input);
      if (after !== input) write = ['HSET', key, 'z', pack(after, ...rest)];
    } else if (plain) {
      const input = JSON.parse(plain.toString()) as TaskInput;
      const after = change(input);
      if (after !== input) write = ['HSET', key, 'i', JSON.stringify(after)];
    }
    if (write === null) return false;
    if (await commit(db.redis, [guard], [write])) return true;
  }
}

/** Whether the task's own callback URL is to be told of the event. */
export function isWanted(task: Pick<Task, 'input'>, event: { type: string }): boolean {
  const { handoff } = task.input;
  return handoff?.callback_url !== undefined && handoff.events.some((one) => one === event.type);
}

function packEntry(entry: HistoryEntry): PackedEntry {
  return [
    entry.event_id,
    entry.type,
    entry.status,
    entry.previous_status,
    entry.at,
    entry.actor,
    entry.attempt_of_task,
    entry.data,
    entry.hash,
  ];
}

function unpackEntries(entries: readonly PackedEntry[]): HistoryEntry[] {
  return entries.map((entry, index) => unpackEntry(entry, index + 1, entries[index - 1]?.[8] ?? null));
}

function unpackEntry(entry: PackedEntry, sequence: number, previousHash: string | null): HistoryEntry {
  const [event_id, type, status, previous_status, at, actor, attempt_of_task, data, hash] = entry;
  return {
    event_id,
    type,
    sequence,
    status,
    previous_status,
    at,
    actor,
    attempt_of_task,
    data,
    previous_hash: previousHash,
    hash,
  };
}

type Packed = [input: TaskInput, state: State, history: PackedEntry[], head: string];

function pack(input: TaskInput, state: State, history: PackedEntry[], head: string): Buffer {
  const packed: Packed = [input, state, history, head];
  return packJson(packed);
}

function unpack(packed: Buffer): Packed {
  return unpackJson(packed) as Packed;
}
