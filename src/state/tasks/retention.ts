// How long a finished task is kept.

import { isDisputed } from './dispute-status.ts';
import type { Task } from './task.ts';

const DAY = 24 * 3600 * 1000;
/** How long after its retention time a task with an open dispute is kept at most. */
const DISPUTE_HOLD_DAYS = 30;

/** When to purge a task that ended at `ended`, and when its history alone, ms; null when that is kept as long. */
export function purgeTimes(
  { input: { audit } }: Pick<Task, 'input'>,
  ended: number,
): { task: number; history: number | null } {
  return { task: ended + audit.retain_days * DAY, history: audit.log_required ? null : ended };
}

/**
 * When a due purge of a task is tried again because a reviewer has not decided on its dispute, ms; null when it is not held.
 * @param now ms
 */
export function heldUntil(task: Task, now: number): number | null {
  const limit = task.status_changed_at + (task.input.audit.retain_days + DISPUTE_HOLD_DAYS) * DAY;
  return isDisputed(task) && now < limit ? Math.min(now + DAY, limit) : null;
}
