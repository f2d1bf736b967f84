// The cool-down of a worker for a task: how long the worker is not offered the task again after an offer has ended. Until
// then, and for a while after it, other workers are preferred.

import type { Decline, Offer } from './offer.ts';
import type { Task } from './task.ts';

/** Cool-down after a declined or expired offer, ms: the offer's lifetime, at most this long. */
export const MAX_COOL_DOWN_MS = 30_000;

/** Every so many events of a task, its minimum cool-down doubles. */
const EVENTS_PER_DOUBLING = 300;
const MAX_MINIMUM_COOL_DOWN_MS = 3600_000;

const MAX_DECLINES = 200;

/** The minimum cool-down of the task, ms: 0 for most, longer for a task that has been offered many times. */
function minimumCoolDownMs({ sequence }: Task): number {
  const doublings = Math.floor(sequence / EVENTS_PER_DOUBLING);
  return doublings === 0 ? 0 : Math.min(MAX_COOL_DOWN_MS * 2 ** (doublings - 1), MAX_MINIMUM_COOL_DOWN_MS);
}

/**
 * The cool-down after an offer, ms; null when there is none.
 * @param status how the offer ended. A revoked offer is not the worker's doing, so it has only the minimum cool-down.
 * @param retryAfterSeconds when the worker asked to be offered the task again
 */
export function coolDownMs(
  task: Task,
  offer: Offer,
  status: 'declined' | 'expired' | 'revoked',
  retryAfterSeconds?: number,
): number | null {
  const minimum = minimumCoolDownMs(task);
  if (status === 'revoked' && minimum === 0) return null;
  const usual =
    retryAfterSeconds === undefined
      ? Math.min(offer.expires_at - offer.offered_at, MAX_COOL_DOWN_MS)
      : retryAfterSeconds * 1000;
  return Math.max(usual, minimum);
}

/** Starts a cool-down of the worker; after it, the worker ranks behind all others for a while. */
export function startCoolDown(task: Task, worker_id: string, now: number, duration = MAX_COOL_DOWN_MS): void {
  task.declines = [
    ...task.declines.filter((decline) => decline.worker_id !== worker_id && isRemembered(decline, now)),
    { worker_id, until: now + duration },
  ].slice(-MAX_DECLINES);
}

/** How long after its cool-down a decline still ranks the worker behind all others, ms. */
const DECLINE_REMEMBERED_MS = 15 * 60_000;

/** Whether the decline still counts at `now`. */
export function isRemembered({ until }: Decline, now: number): boolean {
  return until + DECLINE_REMEMBERED_MS > now;
}
