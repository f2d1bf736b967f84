// Drafts: what a worker has written for a task so far. A draft is stored beside its task and is no part of the history.

import type { TaskEvent } from './event.ts';
import { isFinal } from './lifecycle.ts';
import type { Task } from './task.ts';

/** What the worker saves: any JSON as the output, and notes. Both may be absent. */
export interface DraftContent {
  output?: unknown;
  notes?: string;
}

/** Whether the worker of the task may save a draft: the task is accepted or started. */
export function takesDraft(task: Task): boolean {
  return task.status === 'accepted' || task.status === 'started';
}

/**
 * Reasons to return to the queue, also on the way to another worker, after which the worker finds the draft again if they
 * get the task again.
 */
const KEPT: readonly unknown[] = ['requeued', 'start_timeout', 'rework'];

/**
 * Whether a change of the task ends its draft: the task is final, or leaves its worker for a reason that gives the draft up,
 * such as a release or the removal of the worker.
 */
export function endsDraft(before: Task, after: Task, events: readonly TaskEvent[]): boolean {
  if (isFinal(after.status)) return !isFinal(before.status);
  if (before.assignment === null) return false;
  if (after.assignment?.worker_id === before.assignment.worker_id) return false;
  const queued = events.findLast((event) => event.type === 'task.queued');
  return !KEPT.includes(queued?.data.reason);
}
