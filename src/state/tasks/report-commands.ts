// The commands of a report: a worker makes it, a reviewer decides on it.

import type { Command, Refusal, ReviewInput } from './command.ts';
import { startCoolDown } from './cool-down.ts';
import { fail } from './ending.ts';
import { notYours } from './refusals.ts';
import { detailField, requeue } from './requeue.ts';
import type { Transition } from './transition.ts';
import { isReported } from './waiting.ts';

/** Takes the task from its worker without a mark: it starts no cool-down and never uses up the attempts. */
export function report(
  transition: Transition,
  { worker_id, reason, text }: Extract<Command, { name: 'report' }>,
): Refusal | null {
  const { task, context } = transition;
  if (task.assignment?.worker_id !== worker_id) return notYours();
  task.report = { worker_id, reason, text, reported_at: context.now, decision: null };
  transition.emit('task.reported', task.status, { worker_id, reason, text });
  requeue(transition, 'reported', { worker_id }, { ignoreAttemptLimit: true });
  return null;
}

/** Returns a reported task to the workers; the worker who reported it comes last. */
export function returnReported(transition: Transition, { feedback }: ReviewInput): Refusal | null {
  const { task, context } = transition;
  if (!isReported(task) || task.report === undefined) return NOT_REPORTED;
  task.report = { ...task.report, decision: 'reassign' };
  startCoolDown(task, task.report.worker_id, context.now);
  transition.move('queued', { reason: 'reassigned', ...detailField(feedback) });
  return null;
}

/** Fails a reported task. */
export function rejectReported(transition: Transition, { feedback }: ReviewInput): Refusal | null {
  const { task } = transition;
  if (!isReported(task) || task.report === undefined) return NOT_REPORTED;
  task.report = { ...task.report, decision: 'reject' };
  fail(transition, 'rejected', feedback ?? 'A reviewer rejected the task.');
  return null;
}

const NOT_REPORTED: Refusal = {
  code: 'invalid_transition',
  message: 'A queued task can be reviewed only when a worker has reported it.',
};
