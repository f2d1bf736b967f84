// When a worker is reminded of a deadline: once for each deadline of an assignment, when a quarter of the time is left.

import type { Refusal } from './command.ts';
import { notDue } from './refusals.ts';
import { dueAt, startsAt, type Task } from './task.ts';
import type { Transition } from './transition.ts';

/** Share of the time from the start of the clocks to the deadline that is left at the reminder. */
const SHARE_LEFT = 0.25;
/** Least and most time that is left then, ms. */
const LEAST_LEFT = 2 * 60_000;
const MOST_LEFT = 30 * 60_000;

/**
 * When the worker of an accepted or started task is reminded, ms; null when they are not. A worker who gets the task into
 * their hands later than that learns the deadline there.
 */
export function dueSoonAt(task: Task): number | null {
  const { assignment, status } = task;
  const deadline = dueAt(task, 'deadline');
  if (assignment === null || deadline === null || (status !== 'accepted' && status !== 'started'))
    return null;
  if (assignment.reminder?.deadline === deadline) return null;
  const left = Math.min(MOST_LEFT, Math.max(LEAST_LEFT, (deadline - startsAt(task)) * SHARE_LEFT));
  const at = Math.round(deadline - left);
  return at > task.status_changed_at ? at : null;
}

/** Records that the worker is reminded; the commit adds the notice. */
export function remind(transition: Transition): Refusal | null {
  const { task, context } = transition;
  const [at, deadline] = [dueSoonAt(task), dueAt(task, 'deadline')];
  if (task.assignment === null || at === null || deadline === null || !transition.requirePast(at))
    return notDue();
  task.assignment = { ...task.assignment, reminder: { notice_id: context.newId(), deadline } };
  return null;
}
