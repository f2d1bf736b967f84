// What the commands do to a task with copies, where that differs from other tasks: offers and assignments belong to its
// copies, and the task only records their events. It never has an assignment itself, so no worker is shown it or the
// answers in it (`api/access/own-task.ts`).

import { timestamp } from '../text/time.ts';
import type { Command, Refusal } from './command.ts';
import { answersOf } from './copies.ts';
import { endAtDeadline, fail } from './ending.ts';
import { recordWorker } from './exclusion.ts';
import { addReview, ratingField } from './reviewing.ts';
import type { Transition } from './transition.ts';

/** @returns `use_default` for a command that does what it does to other tasks. */
export function decideForTaskWithCopies(
  transition: Transition,
  command: Command,
): Refusal | null | 'use_default' {
  const { task, context } = transition;
  switch (command.name) {
    case 'offer': {
      const offers = command.offers.map((one) => ({ ...one, expires_at: timestamp(one.expires_at) }));
      transition.move('offered', { ...offers[0] });
      return null;
    }
    case 'accept':
      recordWorker(task, command.worker_id);
      transition.move('accepted', { worker_id: command.worker_id, offer_id: command.offer_id });
      return null;
    case 'start':
      transition.move('started', { worker_id: command.worker_id });
      return null;
    case 'update_copies':
      task.copies = command.copies;
      if (command.worker_id !== undefined) recordWorker(task, command.worker_id);
      return null;
    case 'submit': {
      const { submission, worker_id, agreement } = command;
      task.submission = { ...submission, worker_id, submitted_at: context.now };
      if (agreement !== undefined) task.agreement = agreement;
      transition.move('submitted', { worker_id });
      return null;
    }
    case 'verify':
      // Only answers that agree are verified; a manual review is for those that do not.
      if (task.agreement?.agreed !== true) return unsupported('verify before the answers agree');
      transition.move('verified', { mode: 'auto' });
      return null;
    case 'approve': {
      const { answer_of } = command;
      const chosen = answersOf(task).find((one) => one.worker_id === answer_of);
      if (answer_of !== undefined && chosen === undefined)
        return unsupported('approve an answer that it does not have');
      if (chosen !== undefined) task.submission = { ...chosen, submitted_at: context.now };
      addReview(transition, 'approve', command);
      transition.move('verified', { mode: 'manual', ...ratingField(command) });
      return null;
    }
    case 'disagree':
      task.agreement = command.agreement;
      if (command.code === 'deadline_exceeded') endAtDeadline(transition, command.message);
      else fail(transition, command.code, command.message);
      return null;
    case 'update': {
      // The copies have the SLA and the requirements of the task.
      const { sla, requirements } = command.patch;
      return sla === undefined && requirements === undefined
        ? 'use_default'
        : unsupported('change its SLA or requirements');
    }
    case 'escalate':
    case 'queue':
    case 'match':
    case 'reject':
    case 'complete':
    case 'cancel':
    case 'target_latency':
    case 'deadline':
      return 'use_default';
    default:
      return unsupported(command.name.replaceAll('_', ' '));
  }
}

function unsupported(what: string): Refusal {
  return { code: 'invalid_transition', message: `A task with several answers does not allow to ${what}.` };
}
