// The refusals of commands, each with its code and a sentence for the client.

import type { Refusal } from './command.ts';
import type { CommandName } from './lifecycle.ts';
import type { Task } from './task.ts';

/** The task's state does not allow the command. */
export function illegal(task: Task, command: CommandName): Refusal {
  const message = `A task that is ${task.status} does not allow ${command.replace('_', ' ')}.`;
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
