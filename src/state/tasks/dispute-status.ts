// The status of the rejection that ended a task: whether its worker may dispute it, or has disputed it.

import { DISPUTE_DAYS } from './dispute.ts';
import type { Review, Task } from './task.ts';

const DAY = 24 * 3600 * 1000;

/** The review that ended the task by rejecting its submission; null when it did not end so. */
export function finalRejection({ failure, reviews }: Task): Review | null {
  const last = reviews.at(-1);
  return failure?.code === 'rejected' && last?.decision === 'reject' ? last : null;
}

/**
 * Until when the rejection may be disputed, ms: for `DISPUTE_DAYS`, but no longer than the task is kept. Null when there is
 * none, or it was disputed before.
 */
export function disputableUntil(task: Task): number | null {
  if (task.dispute !== undefined || finalRejection(task) === null) return null;
  return task.status_changed_at + Math.min(DISPUTE_DAYS, task.input.audit.retain_days) * DAY;
}

/** Whether a reviewer has to decide on a dispute. */
export function isDisputed({ dispute }: Task): boolean {
  return dispute?.status === 'open';
}
