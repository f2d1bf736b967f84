// What is kept of a task, and the bytes that it is kept as. While it is open: a hash with its state and its input
// (which never changes and so is written once), and a list of its history. When it is final all of that is packed
// into one compressed field, since most tasks of an org are finished and only looked at now and then.

import type { HistoryEntry, Task, TaskInput } from '../state/task.ts';
import { packJson, unpackJson } from './packed.ts';

/** What changes in a task. */
export type State = Omit<Task, 'input' | 'task_id' | 'org_id' | 'version'>;

/** The part of a task that its state is: what is not named here is not kept. */
export function stateOf(task: Task): State {
  return {
    status: task.status,
    sequence: task.sequence,
    attempt: task.attempt,
    created_at: task.created_at,
    updated_at: task.updated_at,
    since: task.since,
    step: task.step,
    completed_at: task.completed_at,
    offers: task.offers,
    declines: task.declines,
    assignment: task.assignment,
    submission: task.submission,
    reviews: task.reviews,
    breaches: task.breaches,
    failure: task.failure,
    cancellation: task.cancellation,
  };
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

/** A final task as one piece. */
export type Packed = [input: TaskInput, state: State, history: PackedEntry[], head: string];

/** The bytes of a final task. */
export function pack(input: TaskInput, state: State, history: PackedEntry[], head: string): Buffer {
  const packed: Packed = [input, state, history, head];
  return packJson(packed);
}

/** What `pack` was given. */
export function unpack(packed: Buffer): Packed {
  return unpackJson(packed) as Packed;
}
