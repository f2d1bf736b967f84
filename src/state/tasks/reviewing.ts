// What the decisions of a reviewer have in common: which need feedback, how the review is recorded, and how rework returns
// the task to its worker.

import type { FieldError } from '../text/field-error.ts';
import { isObject } from '../text/forms.ts';
import type { ReviewInput } from './command.ts';
import { fail } from './ending.ts';
import { detailField } from './requeue.ts';
import { flagBreaches } from './sla.ts';
import { maxAttempts, type Review } from './task.ts';
import type { Transition } from './transition.ts';

/**
 * The errors of a review. Rework and rejection need feedback, because the worker must learn the reason. Only an approval
 * names the worker whose answer is the result.
 * @param review may be invalid
 */
export function reviewErrors(review: unknown): FieldError[] {
  if (!isObject(review)) return [];
  const { decision, feedback, worker_id } = review;
  const errors: FieldError[] = [];
  const needsFeedback = decision === 'rework' || decision === 'reject';
  if (needsFeedback && (feedback === undefined || String(feedback).trim() === ''))
    errors.push({ pointer: '/feedback', message: `is required when the decision is ${decision}` });
  if (worker_id !== undefined && decision !== undefined && decision !== 'approve')
    errors.push({ pointer: '/worker_id', message: 'is allowed only with approve' });
  return errors;
}

/** Adds a review of the submission. */
export function addReview(
  { task, context }: Transition,
  decision: Review['decision'],
  review: ReviewInput,
): void {
  const { feedback, rating = null } = review;
  if (task.submission === null) throw new Error(`task ${task.task_id} is reviewed without a submission`);
  const { worker_id } = task.submission;
  const { actor: reviewed_by, now: reviewed_at } = context;
  task.reviews = [...task.reviews, { decision, feedback, rating, worker_id, reviewed_by, reviewed_at }];
}

/** Returns the task to its worker for another attempt; fails it when the attempts are used up. */
export function returnToWorker(transition: Transition, review: ReviewInput): void {
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
    ...detailField(review.feedback),
    ...ratingField(review),
  });
  flagBreaches(transition);
}

/** The field `rating` of an event, if the reviewer gave one. */
export function ratingField({ rating }: ReviewInput): { rating?: number } {
  return rating === undefined || rating === null ? {} : { rating };
}
