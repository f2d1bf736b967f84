// Ending a task without an accepted submission: as failed, or at its deadline with the default output.

import type { Offer } from './offer.ts';
import type { FailureCode, Task } from './task.ts';
import type { Transition } from './transition.ts';
import { resultView } from './view.ts';

/** Withdraws the pending offers and moves the task to `failed`. */
export function fail(transition: Transition, code: FailureCode, message: string): void {
  const { task } = transition;
  withdrawOffers(task);
  task.failure = { code, message };
  transition.move('failed', { failure: task.failure });
}

/** Completes the task with the output of `sla.on_deadline`, or else fails it with `deadline_exceeded`. */
export function endAtDeadline(transition: Transition, message: string): void {
  const { task, context } = transition;
  if (task.input.sla.on_deadline?.action !== 'complete') {
    fail(transition, 'deadline_exceeded', message);
    return;
  }
  withdrawOffers(task);
  task.result_source = 'default';
  task.completed_at = context.now;
  transition.move('completed', { result: resultView(task) });
}

/** Ends the pending offers of a task that no worker does any more. */
export function withdrawOffers(task: Task): void {
  task.offers = task.offers.map((offer) => endIfPending(offer, 'withdrawn'));
}

/** The offer with `status` if it is pending; otherwise the offer itself. */
export function endIfPending(offer: Offer, status: Offer['status']): Offer {
  return offer.status === 'pending' ? { ...offer, status } : offer;
}
