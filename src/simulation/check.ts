// The invariants of a simulation: compares the histories with what was acknowledged. Pure functions.

import type { HistoryEntry } from '../state/tasks/event.ts';
import { firstBroken } from '../state/tasks/history.ts';
import { isFinal, isStatus } from '../state/tasks/lifecycle.ts';
import type { Action, TrackedTask } from './ledger.ts';

/** What is wrong. lost: it was acknowledged and is not there. doubled: it happened more often than it was asked for. */
export interface Finding {
  kind: 'lost' | 'doubled' | 'broken';
  text: string;
}

/** A task as it was read after the simulation; null: there is no such task. */
export interface ReadTask {
  tracked: TrackedTask;
  history: readonly HistoryEntry[];
  status: string;
  /** Ids of its messages, oldest first. */
  messages: readonly string[];
  /** JSON of the output of its result; null without a result. */
  output: string | null;
}

/**
 * Checks one task.
 * @param hasArrived whether the event with this id was delivered; null: its deliveries are not checked.
 */
export function checkTask(
  { tracked, history, status, messages, output }: ReadTask,
  hasArrived: ((eventId: string) => boolean) | null,
): Finding[] {
  const findings: Finding[] = [];
  const found = (kind: Finding['kind'], text: string) =>
    findings.push({ kind, text: `${tracked.kind ?? 'unacknowledged'} task ${tracked.task_id}: ${text}` });
  const broken = firstBroken(history);
  if (broken !== null) found('broken', `its history is not valid from ${broken} on`);
  const finals = history.filter(({ type }) =>
    ['task.completed', 'task.failed', 'task.cancelled'].includes(type),
  );
  if (finals.length > 1) found('doubled', `it ended ${finals.length} times`);
  const isOver = isStatus(status) && isFinal(status);
  if (isOver && history.at(-1)?.status !== status) found('broken', `it is ${status}, its history is not`);
  if (isOver && finals.length === 0) found('lost', `it is ${status} without an event of that`);
  if (tracked.finished !== null && tracked.status !== status)
    found('lost', `it was ${tracked.status} and is ${status}`);
  for (const [action, acknowledged, sent] of counted(tracked)) {
    const count = history.filter((entry) => isOf(entry, action)).length;
    if (count < acknowledged)
      found(
        'lost',
        `${action.type} of ${action.actor} was acknowledged ${acknowledged} times, it has ${count}`,
      );
    if (count > sent)
      found('doubled', `${action.type} of ${action.actor} was sent ${sent} times, it has ${count}`);
  }
  for (const id of tracked.messages) {
    const count = messages.filter((one) => one === id).length;
    if (count !== 1) found(count === 0 ? 'lost' : 'doubled', `message ${id} is there ${count} times`);
  }
  if (output !== null && !tracked.sentOutputs.includes(output))
    found('broken', `nobody has submitted ${output}`);
  if (hasArrived !== null)
    for (const { event_id, type } of history)
      if (!hasArrived(event_id)) found('lost', `${type} (${event_id}) was not delivered`);
  return findings;
}

/** The different actions of a task, how often each was acknowledged, and how often it was sent. */
function* counted({ sent, acknowledged }: TrackedTask): Generator<[Action, number, number]> {
  const names = new Map(sent.map((action) => [`${action.type} ${action.actor}`, action]));
  for (const action of names.values()) {
    const isSame = ({ type, actor }: Action) => type === action.type && actor === action.actor;
    yield [action, acknowledged.filter(isSame).length, sent.filter(isSame).length];
  }
}

function isOf(entry: HistoryEntry, { type, actor }: Action): boolean {
  return entry.type === type && entry.actor.startsWith(actor);
}

/** Checks that no worker had more tasks at the same time than `capacity`. */
export function checkCapacity(histories: readonly (readonly HistoryEntry[])[], capacity: number): Finding[] {
  const changes: { worker: string; at: string; by: number }[] = [];
  for (const history of histories) {
    let worker: string | null = null;
    for (const { type, at, actor } of history) {
      const isTaken = type === 'task.accepted';
      if (worker !== null && (isTaken || LEAVES.includes(type))) {
        changes.push({ worker, at, by: -1 });
        worker = null;
      }
      if (!isTaken) continue;
      worker = actor;
      changes.push({ worker, at, by: 1 });
    }
  }
  // Within a millisecond the order is not known: tasks that are left count first.
  changes.sort((one, other) => one.at.localeCompare(other.at) || one.by - other.by);
  const held = new Map<string, number>();
  const most = new Map<string, number>();
  for (const { worker, by } of changes) {
    const now = (held.get(worker) ?? 0) + by;
    held.set(worker, now);
    most.set(worker, Math.max(most.get(worker) ?? 0, now));
  }
  return [...most]
    .filter(([, count]) => count > capacity)
    .map(([worker, count]) => ({
      kind: 'doubled',
      text: `${worker} had ${count} tasks, its capacity is ${capacity}`,
    }));
}

/** Events after which a worker does not have the task in hand. */
const LEAVES = ['task.submitted', 'task.queued', 'task.completed', 'task.failed', 'task.cancelled'];

/** Checks that each creation made one task. @param existing the tasks that the server lists. */
export function checkCreations(
  tracked: readonly TrackedTask[],
  existing: readonly { task_id: string; origin: { request_id: string } }[],
  requested: ReadonlySet<string>,
): Finding[] {
  const findings: Finding[] = [];
  const byRequest = new Map<string, string[]>();
  for (const { task_id, origin } of existing)
    byRequest.set(origin.request_id, [...(byRequest.get(origin.request_id) ?? []), task_id]);
  for (const [request, ids] of byRequest) {
    if (ids.length > 1)
      findings.push({ kind: 'doubled', text: `${request} made the tasks ${ids.join(', ')}` });
    if (!requested.has(request)) findings.push({ kind: 'broken', text: `nobody has requested ${request}` });
  }
  const ids = new Set(existing.map(({ task_id }) => task_id));
  for (const { task_id, created } of tracked)
    if (created !== null && !ids.has(task_id))
      findings.push({ kind: 'lost', text: `task ${task_id} was acknowledged and does not exist` });
  return findings;
}

/** How the offers of these tasks ended: accepted, the reason of the return to the queue, or the next state; pending. */
export function offerOutcomes(histories: readonly (readonly HistoryEntry[])[]): Record<string, number> {
  const outcomes: Record<string, number> = {};
  for (const history of histories)
    for (const [index, { type }] of history.entries()) {
      if (type !== 'task.offered') continue;
      const end = history.slice(index + 1).find(({ status }) => status !== 'offered');
      const outcome = end === undefined ? 'pending' : String(end.data.reason ?? end.status);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
  return outcomes;
}
