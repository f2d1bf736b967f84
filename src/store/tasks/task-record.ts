// The stored form of a task. While the task is open: a hash with its state and its input (which rarely changes, so it is
// a field of its own), and a list with its history. When it is final, all of that is packed into one compressed field, because
// most tasks of an org are final and rarely read.

import { orgOf } from '../../state/access/tenant.ts';
import type { HistoryEntry } from '../../state/tasks/event.ts';
import { eventIdOf } from '../../state/tasks/event-id.ts';
import { entryHash } from '../../state/tasks/history.ts';
import { isStatus } from '../../state/tasks/lifecycle.ts';
import type { Task, TaskInput } from '../../state/tasks/task.ts';
import {
  broken,
  isObject,
  type Read,
  readForm,
  readJson,
  readJsonShape,
  readShape,
  type Shape,
} from '../../state/text/forms.ts';
import { packJson, unpackJson } from '../redis/packing.ts';

/**
 * The current format version of tasks, stored in field `f` of the hash. Version 1 has no `not_before`, which older processes
 * would ignore; version 4 are final tasks as `packJson` packs them now, version 3 as it did before. Earlier final tasks have no `f`.
 */
export const TASK_FORM = 4;
/** The format version of final tasks: packed as older processes cannot read it. */
export const PACKED_FORM = 4;

/** The lowest format version that has all of this input, so that older processes can use the tasks that they know. */
export function formOfTask({ not_before }: TaskInput): number {
  return not_before === undefined ? 1 : 2;
}

/** The part of a task that changes. */
export type State = Omit<Task, 'input' | 'task_id' | 'org_id' | 'version'>;

/** The state of a task, including fields of a newer version, as it is written in JSON, which leaves out undefined members. */
export function stateOf(task: Task): State {
  return { ...task, ...NOT_STATE };
}

/** The parts of a task that are stored beside its state. */
const NOT_STATE = { input: undefined, task_id: undefined, org_id: undefined, version: undefined };

const STATE: Shape<State> = {
  status: 'string',
  sequence: 'number',
  attempt: 'number',
  created_at: 'number',
  updated_at: 'number',
  status_changed_at: 'number',
  step: 'number',
  offers: 'list',
  declines: 'list',
  reviews: 'list',
  breaches: 'list',
};

const INPUT: Shape<TaskInput> = {
  origin: 'object',
  task_type: 'string',
  domain: 'string',
  title: 'string',
  sla: 'object',
  output: 'object',
  audit: 'object',
};

/** Reads the state of a task from its JSON. */
export function readState(text: string): Read<State> {
  const json = readJson(text);
  return json.kind === 'known' ? checkedState(json.value) : json;
}

function checkedState(value: unknown): Read<State> {
  const state = readShape(value, STATE);
  return state.kind === 'known' && !isStatus(state.value.status) ? broken('its status is unknown') : state;
}

/** Reads the input of a task from its JSON. */
export function readInput(text: string): Read<TaskInput> {
  return readJsonShape(text, INPUT);
}

/** Reads one entry of a history from its JSON. */
export function readEntry(text: string): Read<PackedEntry> {
  const json = readJson(text);
  return json.kind === 'known' ? checkedEntry(json.value) : json;
}

function checkedEntry(value: unknown): Read<PackedEntry> {
  return isPackedEntry(value) ? { kind: 'known', value } : broken('an entry of the history is malformed');
}

function isPackedEntry(value: unknown): value is PackedEntry {
  if (!Array.isArray(value)) return false;
  const [id, type, status, previous, at, actor, attempt, data, hash]: unknown[] = value;
  return (
    [id, type, status, at, actor, hash].every((one) => typeof one === 'string') &&
    (previous === null || typeof previous === 'string') &&
    Number.isFinite(attempt) &&
    isObject(data)
  );
}

/** A stored entry of the history. Its sequence and previous hash follow from its position. */
export type PackedEntry = [
  /** In a final task, '' for the id that `eventIdOf` gives. */
  id: string,
  type: string,
  status: string,
  previous: string | null,
  at: string,
  actor: string,
  attempt: number,
  data: Record<string, unknown>,
  /** In a final task, '' for the hash that follows from the content. */
  hash: string,
];

/** Whether the entries of a task that is not final are all up to the one with the hash `head`. */
export function isWholeUpTo(head: string | undefined, entries: readonly PackedEntry[]): boolean {
  return entries.at(-1)?.[8] === head;
}

/** The stored form of an entry. */
export function packEntry(entry: HistoryEntry): PackedEntry {
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

/**
 * A whole history from its stored entries, oldest first.
 * @param head hash of the last entry, which an entry without a hash gets there. So an entry that was changed in Redis does not
 *   lead to this hash, as in a history that is stored with all its hashes.
 */
export function unpackEntries(taskId: string, entries: readonly PackedEntry[], head = ''): HistoryEntry[] {
  let previous: string | null = null;
  return entries.map((entry, index) => {
    const one = unpackEntry(taskId, entry, index + 1, previous);
    if (one.hash === '') one.hash = (index === entries.length - 1 && head) || entryHash(one);
    previous = one.hash;
    return one;
  });
}

/** One entry from its stored form, its sequence and the hash of the previous entry. */
export function unpackEntry(
  taskId: string,
  entry: PackedEntry,
  sequence: number,
  previousHash: string | null,
): HistoryEntry {
  const [id, type, status, previous_status, at, actor, attempt_of_task, data, hash] = entry;
  return {
    event_id: id || eventIdOf(taskId, sequence, Date.parse(at)),
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

/** The entries without what follows from their content: ids and hashes. @param fresh see `packedFields` */
function withoutDerived(taskId: string, entries: readonly PackedEntry[], fresh: number): PackedEntry[] {
  let previous: string | null = null;
  return entries.map((entry, index): PackedEntry => {
    const [id, type, status, before, at, actor, attempt, data, stored] = entry;
    if (index >= entries.length - fresh) return ['', type, status, before, at, actor, attempt, data, ''];
    const hash = entryHash(unpackEntry(taskId, entry, index + 1, previous));
    previous = stored || hash;
    const isDerived = id === eventIdOf(taskId, index + 1, Date.parse(at));
    return [
      ...([isDerived ? '' : id, type, status, before, at, actor, attempt, data] as const),
      previous === hash ? '' : stored,
    ];
  });
}

/** A final task: `head` is the hash of the last history entry; without a `form`, it has the first format version. */
export type Packed = [input: TaskInput, state: State, history: PackedEntry[], head: string, form?: number];

/**
 * The fields of a final task that depend on its content.
 * @param fresh so many of the last entries were made from the one before them just now: ids and hashes follow from their content
 */
export function packedFields(
  { org_id, task_id }: Pick<Task, 'org_id' | 'task_id'>,
  packed: Packed,
  fresh = 0,
): (string | number | Buffer)[] {
  const [input, state, history, head] = packed;
  const stored: Packed = [input, state, withoutDerived(task_id, history, fresh), head, formOfTask(input)];
  return ['z', packTask(org_id, stored), 'f', PACKED_FORM];
}

/** Packs the parts of a final task of an org, or what has replaced them, such as plain secrets. */
export function packTask(orgId: string, parts: unknown): Buffer {
  return packJson(parts, [orgOf(orgId)]);
}

/** What `packTask` packed. @throws Error when the bytes are damaged */
export function unpackTask(orgId: string, packed: Buffer): unknown {
  return unpackJson(packed, [orgOf(orgId)]);
}

/** The history of a final task. */
export function historyIn(taskId: string, [, , entries, head]: Packed): HistoryEntry[] {
  return unpackEntries(taskId, entries, head);
}

/** Reads the packed field of a final task of an org. */
export function readPacked(orgId: string, packed: Buffer): Read<Packed> {
  let value: unknown;
  try {
    value = unpackTask(orgId, packed);
  } catch {
    return broken('not compressed JSON');
  }
  if (!Array.isArray(value)) return broken('not a final task');
  const [packedInput, packedState, history, head, form]: unknown[] = value;
  const unknown = readForm(form, TASK_FORM);
  if (unknown !== null) return unknown;
  if (typeof head !== 'string' || !Array.isArray(history)) return broken('not a final task');
  const input = readShape(packedInput, INPUT);
  if (input.kind !== 'known') return input;
  const state = checkedState(packedState);
  if (state.kind !== 'known') return state;
  if (!history.every(isPackedEntry)) return broken('an entry of the history is malformed');
  return { kind: 'known', value: [input.value, state.value, history, head] };
}
