// The commands of a dispute: the worker opens it, a reviewer decides. Neither changes the outcome of the task.

import type { Refusal } from './command.ts';
import type { DisputeCommand } from './dispute.ts';
import { disputableUntil } from './dispute-status.ts';
import { notYours } from './refusals.ts';
import type { Transition } from './transition.ts';

type CommandOf<N extends DisputeCommand['name']> = Extract<DisputeCommand, { name: N }>;

/** Opens a dispute of the rejection that ended the task. */
export function dispute(transition: Transition, { worker_id, text }: CommandOf<'dispute'>): Refusal | null {
  const { task, context } = transition;
  if (task.assignment?.worker_id !== worker_id) return notYours();
  if (task.dispute !== undefined) return ALREADY_DISPUTED;
  const until = disputableUntil(task);
  if (until === null) return NOT_REJECTED;
  if (until <= context.now) return TOO_LATE;
  const undecided = { decision_text: null, decided_by: null, decided_at: null };
  task.dispute = { worker_id, text, opened_at: context.now, status: 'open', ...undecided };
  emitDisputed(transition, { worker_id, text });
  return null;
}

/** Decides on the open dispute. */
export function resolveDispute(
  transition: Transition,
  { decision, text }: CommandOf<'resolve_dispute'>,
): Refusal | null {
  const { task, context } = transition;
  if (task.dispute?.status !== 'open') return DISPUTE_NOT_OPEN;
  task.dispute = {
    ...task.dispute,
    status: decision === 'uphold' ? 'upheld' : 'overturned',
    decision_text: text,
    decided_by: context.actor,
    decided_at: context.now,
  };
  emitDisputed(transition, { worker_id: task.dispute.worker_id, decision, text });
  return null;
}

/** Emits the event, unless the history of the task is purged when the task ends. */
function emitDisputed(transition: Transition, data: Record<string, unknown>): void {
  const { task } = transition;
  if (task.input.audit.log_required) transition.emit('task.disputed', task.status, data);
}

const NOT_REJECTED: Refusal = {
  code: 'task_not_rejected',
  message: 'Only the rejection that ended a task can be disputed.',
};
const ALREADY_DISPUTED: Refusal = {
  code: 'already_disputed',
  message: 'The rejection has been disputed before.',
};
const TOO_LATE: Refusal = {
  code: 'dispute_too_late',
  message: 'The time to dispute the rejection is over.',
};
const DISPUTE_NOT_OPEN: Refusal = { code: 'dispute_not_open', message: 'The task has no open dispute.' };
