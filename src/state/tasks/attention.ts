// What a lead looks for: open tasks that are late, and tasks that wait for a reviewer.

import { openQuestionOf } from './conversation-status.ts';
import { isDisputed } from './dispute-status.ts';
import { isFinal } from './lifecycle.ts';
import type { Task } from './task.ts';
import { isReported } from './waiting.ts';

/** Whether the task is open and a clock of it is breached. */
export function isOverdue(task: Task): boolean {
  return !isFinal(task.status) && task.breaches.length > 0;
}

/** Whether a reviewer has to decide on the task: on its submission, a worker's report, or a dispute after its end. */
export function isInReview(task: Task): boolean {
  if (isReported(task) || isDisputed(task)) return true;
  return task.status === 'submitted' && task.input.output.review.mode === 'manual';
}

/**
 * The indexes of a task that follow from its state, as `<filter>:<value>`, besides that of its status. A new task is in
 * none of them. The worker stays after the end of the task. Copies are in the index of their worker alone, which no filter of
 * integrators reads.
 */
export function stateIndexesOf(task: Task): string[] {
  const worker = task.assignment?.worker_id;
  if (task.copy_of !== undefined) return worker === undefined ? [] : [copiesIndex(worker)];
  return [
    ...(worker === undefined ? [] : [`assigned_to:${worker}`]),
    ...(isOverdue(task) ? ['overdue:true'] : []),
    ...(isInReview(task) ? ['in_review:true'] : []),
    ...(openQuestionOf(task) === null ? [] : ['has_open_question:true']),
  ];
}

/** The index of the copies that a worker has, or had when they ended. */
export function copiesIndex(workerId: string): string {
  return `copy_assigned_to:${workerId}`;
}
