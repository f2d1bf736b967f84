// The refusals of commands, each with its code and a sentence for the client.

import type { Refusal } from './command.ts';
import type { CommandName } from './lifecycle.ts';
import type { Task } from './task.ts';

/** What the task cannot, for commands of people; the others are refused without being shown. */
const PHRASES: Partial<Record<CommandName, string>> = {
  offer: 'be offered',
  accept: 'be accepted',
  decline: 'be declined',
  start: 'be started',
  release: 'be released',
  submit: 'take a submission',
  approve: 'be approved',
  rework: 'be sent back for rework',
  reassign: 'be given to another worker',
  reject: 'be rejected',
  cancel: 'be cancelled',
  update: 'be changed',
  requeue: 'be returned to the queue',
  assign: 'be assigned',
  report: 'be reported',
  message: 'take messages',
  read_messages: 'have its messages marked as read',
  dispute: 'be disputed',
  resolve_dispute: 'have a dispute decided',
};

/** The task's state does not allow the command. */
export function illegal(task: Task, command: CommandName): Refusal {
  const message = `A task that is ${task.status} cannot ${PHRASES[command] ?? `be changed by ${command}`}.`;
  return { code: codeOf(command), message };
}

/** The code with which a command is refused in a state that does not allow it. */
function codeOf(command: CommandName): Refusal['code'] {
  switch (command) {
    case 'cancel':
      return 'task_not_cancellable';
    case 'accept':
    case 'decline':
    case 'expire':
    case 'revoke':
      return 'offer_not_pending';
    case 'target_latency':
    case 'deadline':
    case 'relax':
    case 'due_soon':
    case 'escalate':
      return 'not_due';
    case 'dispute':
      return 'task_not_rejected';
    case 'resolve_dispute':
      return 'dispute_not_open';
    default:
      return 'invalid_transition';
  }
}

export function reported(): Refusal {
  return {
    code: 'invalid_transition',
    message: 'A worker reported the task, and a reviewer has not decided yet.',
  };
}

export function notPending(): Refusal {
  return { code: 'offer_not_pending', message: 'The offer is no longer pending.' };
}

export function notYours(): Refusal {
  return { code: 'not_yours', message: 'The task is not assigned to this worker.' };
}

export function submissionReplaced(): Refusal {
  return { code: 'not_due', message: 'The review is about a submission that has been replaced since.' };
}

export function notDue(): Refusal {
  return { code: 'not_due', message: 'Nothing is due.' };
}
