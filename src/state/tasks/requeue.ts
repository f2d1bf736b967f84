// Returning a task to the queue: when its last pending offer ends, when its worker gives it back, or when a supervisor
// takes it. A task that may not go on ends instead (`ending.ts`). `decide.ts` says which command takes which step.

import { coolDownMs, startCoolDown } from './cool-down.ts';
import { endAtDeadline, endIfPending, fail } from './ending.ts';
import { MAX_ASSIGNED_WORKERS } from './exclusion.ts';
import type { Offer } from './offer.ts';
import { stepsDue } from './relaxation.ts';
import { flagBreaches } from './sla.ts';
import { dueAt, maxAttempts } from './task.ts';
import type { Transition } from './transition.ts';

/** A task with so many events fails instead of returning to the queue, so that its history cannot grow forever. */
export const MAX_EVENTS = 10_000;

/**
 * Ends a pending offer. When no other offer is pending, the task goes back to the queue.
 * @param workerReason what the worker gave as the reason, if any
 * @param eventReason the reason in the event
 */
export function endOffer(
  transition: Transition,
  offer: Offer,
  status: 'declined' | 'expired' | 'revoked',
  workerReason: string | null,
  eventReason: string = status,
  retryAfterSeconds?: number,
): void {
  const { task, context } = transition;
  const { offer_id, worker_id } = offer;
  task.offers = task.offers.map((other) => (other === offer ? { ...offer, status } : other));
  const duration = coolDownMs(task, offer, status, retryAfterSeconds);
  if (duration !== null) startCoolDown(task, worker_id, context.now, duration);
  if (task.offers.some((other) => other.status === 'pending')) return;
  requeue(transition, eventReason, { worker_id, offer_id, ...detailField(workerReason) });
}

/**
 * Moves the task to the queue, or to `failed` when its deadline has passed or its attempts are used up.
 * @param options `ignoreAttemptLimit`: the worker could not finish, so the attempt does not count against the limit.
 *   `ignoreDeadline`: the task passes to another worker in the same change.
 */
export function requeue(
  transition: Transition,
  reason: string,
  data: Record<string, unknown>,
  { ignoreAttemptLimit = false, ignoreDeadline = false } = {},
): void {
  const { task, context } = transition;
  const wasAtWork = task.assignment !== null;
  const deadline = dueAt(task, 'deadline');
  if (deadline !== null && !ignoreDeadline && transition.requirePast(deadline)) {
    flagBreaches(transition, false);
    endAtDeadline(transition, 'The deadline passed and no worker had the task.');
    return;
  }
  if (task.sequence >= MAX_EVENTS) {
    fail(transition, 'attempts_exhausted', `Given up after ${task.sequence} events.`);
    return;
  }
  if (wasAtWork) {
    if ((task.assigned_workers ?? []).length >= MAX_ASSIGNED_WORKERS) {
      fail(transition, 'attempts_exhausted', `Given up after ${MAX_ASSIGNED_WORKERS} workers.`);
      return;
    }
    if (task.attempt >= maxAttempts(task) && !ignoreAttemptLimit) {
      fail(transition, 'attempts_exhausted', `Given up after ${task.attempt} attempts.`);
      return;
    }
    task.attempt += 1;
    task.assignment = null;
  }
  task.step = stepsDue(task, context.now);
  transition.move('queued', { reason, ...data });
  flagBreaches(transition);
}

/**
 * Takes the task from its worker, or revokes its offers, and moves it to the queue. It is no fault of the worker, so it
 * starts no cool-down and never uses up the attempts.
 */
export function takeBack(transition: Transition, reason: string, isTakeover = false): void {
  const { task } = transition;
  const worker_id = task.assignment?.worker_id ?? null;
  transition.emit('task.requeued', task.status, { reason, worker_id });
  const pending = task.offers.filter((offer) => offer.status === 'pending');
  transition.revoked = pending.map((offer) => ({ ...offer, status: 'revoked' }));
  task.offers = task.offers.map((offer) => endIfPending(offer, 'revoked'));
  const data = worker_id === null ? {} : { worker_id };
  requeue(transition, 'requeued', data, { ignoreAttemptLimit: true, ignoreDeadline: isTakeover });
}

/** The field `detail` of an event, if there is a text for it. */
export function detailField(text: string | null): { detail?: string } {
  return text === null ? {} : { detail: text };
}
