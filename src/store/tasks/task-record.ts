// What is kept of a task, and the bytes that it is kept as. While it is open: a hash with its state and its input
// (which never changes and so is written once), and a list of its history. When it is final all of that is packed
// into one compressed field, since most tasks of an org are finished and only looked at now and then.

import { isStatus } from '../../state/tasks/lifecycle.ts';
import type { HistoryEntry, Task, TaskInput } from '../../state/tasks/task.ts';
import { broken, type Read, readForm, readJson, readShape, type Shape } from '../../state/text/forms.ts';
import { packJson, unpackJson } from '../redis/packing.ts';

/** The form that tasks have: in the field `f` of their hash, or within the one piece of a final one. */
export const TASK_FORM = 1;

/** What changes in a task. */
export type State = Omit<Task, 'input' | 'task_id' | 'org_id' | 'version'>;

/** The part of a task that its state is, with what a newer process has put into it. */
export function stateOf({
  input: _input,
  task_id: _id,
  org_id: _org,
  version: _version,
  ...state
}: Task): State {
  return state;
}

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

/** What changes in a task, from its JSON. */
export function readState(text: string): Read<State> {
  const json = readJson(text);
  return json.kind === 'known' ? checkedState(json.value) : json;
}

function checkedState(value: unknown): Read<State> {
  const state = readShape(value, STATE);
  return state.kind === 'known' && !isStatus(state.value.status) ? broken('of no known status') : state;
}

/** A task's input, from its JSON. */
export function readInput(text: string): Read<TaskInput> {
  const json = readJson(text);
  return json.kind === 'known' ? readShape(json.value, INPUT) : json;
}

/** One entry of a history, from its JSON. */
export function readEntry(text: string): Read<PackedEntry> {
  const json = readJson(text);
  return json.kind === 'known' ? checkedEntry(json.value) : json;
}

function checkedEntry(value: unknown): Read<PackedEntry> {
  const isEntry =
    Array.isArray(value) && value.length >= 9 && [0, 1, 2, 4, 8].every((at) => typeof value[at] === 'string');
  return isEntry ? { kind: 'known', value: value as PackedEntry } : broken('an entry of the history is none');
}

/** An entry of the history, its sequence and the hash before it being where it stands. */
export type PackedEntry = [
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

/** The entry as it is kept. */
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

/** A whole history from what is kept of it, oldest first. */
export function unpackEntries(entries: readonly PackedEntry[]): HistoryEntry[] {
  return entries.map((entry, index) => unpackEntry(entry, index + 1, entries[index - 1]?.[8] ?? null));
}

/** One entry from what is kept of it, where it stands and the hash before it. */
export function unpackEntry(entry: PackedEntry, sequence: number, previousHash: string | null): HistoryEntry {
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

/** A final task as one piece; without a form it is of the first. */
export type Packed = [input: TaskInput, state: State, history: PackedEntry[], head: string, form?: number];

/** The bytes of a final task. */
export function pack(input: TaskInput, state: State, history: PackedEntry[], head: string): Buffer {
  const packed: Packed = [input, state, history, head, TASK_FORM];
  return packJson(packed);
}

/** What `pack` was given. */
export function readPacked(packed: Buffer): Read<Packed> {
  let value: unknown;
  try {
    value = unpackJson(packed);
  } catch {
    return broken('not compressed JSON');
  }
  if (!Array.isArray(value)) return broken('not a finished task');
  const unknown = readForm(value[4], TASK_FORM);
  if (unknown !== null) return unknown;
  if (typeof value[3] !== 'string' || !Array.isArray(value[2])) return broken('not a finished task');
  const [input, state, history] = value as unknown[] & [unknown, unknown, unknown[]];
  for (const part of [readShape(input, INPUT), checkedState(state), ...history.map(checkedEntry)])
    if (part.kind !== 'known') return part;
  return { kind: 'known', value: value as Packed };
}
