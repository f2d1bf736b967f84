// Steps that several commands share: ending an offer, returning a task to the queue or, for rework, to its worker, adding
// a review, and ending a task: `fail`, and `endAtDeadline` with its default output. `decide.ts` says which command takes
// which of these steps, for instance when an accepted task is not started in time.

import type { Opinion } from './command.ts';
import { coolDownMs, startCoolDown } from './cool-down.ts';
import { flagBreaches } from './sla.ts';
import { dueAt, type FailureCode, maxAttempts, type Offer, type Review, stepsDue } from './task.ts';
import type { Transition } from './transition.ts';
import { resultView } from './view.ts';

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

/** Adds a review of the submission. */
export function addReview(
  { task, context }: Transition,
  decision: Review['decision'],
  opinion: Opinion,
): void {
  const { feedback, rating = null } = opinion;
  if (task.submission === null) throw new Error(`task ${task.task_id} is reviewed without a submission`);
  const { worker_id } = task.submission;
  const { actor: reviewed_by, now: reviewed_at } = context;
  task.reviews = [...task.reviews, { decision, feedback, rating, worker_id, reviewed_by, reviewed_at }];
}

/** Returns the task to its worker for another attempt; fails it when the attempts are used up. */
export function returnToWorker(transition: Transition, opinion: Opinion): void {
  const { task } = transition;
  if (task.attempt >= maxAttempts(task) || task.assignment === null) {
    fail(transition, 'attempts_exhausted', `Given up after ${task.attempt} attempts.`);
    return;
  }
  task.attempt += 1;
  task.assignment = { ...task.assignment, submitted_at: null };
  transition.move('started', {
    worker_id: task.assignment.worker_id,
    reason: 'rework',
    ...detailField(opinion.feedback),
    ...ratingField(opinion),
  });
  flagBreaches(transition);
}

/** Completes the task with the output of `sla.on_deadline`, or else fails it with `deadline_exceeded`. */
export function endAtDeadline(transition: Transition, message: string): void {
  const { task, context } = transition;
  if (task.input.sla.on_deadline?.action !== 'complete') {
    fail(transition, 'deadline_exceeded', message);
    return;
  }
  task.offers = task.offers.map((offer) => endIfPending(offer, 'withdrawn'));
  task.result_source = 'default';
  task.completed_at = context.now;
  transition.move('completed', { result: resultView(task) });
}

/** Withdraws the pending offers and moves the task to `failed`. */
export function fail(transition: Transition, code: FailureCode, message: string): void {
  const { task } = transition;
  task.offers = task.offers.map((offer) => endIfPending(offer, 'withdrawn'));
  task.failure = { code, message };
  transition.move('failed', { failure: task.failure });
}

/** The offer with `status` if it is pending; otherwise the offer itself. */
export function endIfPending(offer: Offer, status: Offer['status']): Offer {
  return offer.status === 'pending' ? { ...offer, status } : offer;
}

/** The field `detail` of an event, if there is a text for it. */
export function detailField(text: string | null): { detail?: string } {
  return text === null ? {} : { detail: text };
}

/** The field `rating` of an event, if the reviewer gave one. */
export function ratingField({ rating }: Opinion): { rating?: number } {
  return rating === undefined || rating === null ? {} : { rating };
}
