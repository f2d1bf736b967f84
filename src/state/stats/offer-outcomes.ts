// What a change of a task tells about its offers and about matching, for the metrics of a process.

import type { OfferStatus } from '../tasks/offer.ts';
import { startsAt, type Task } from '../tasks/task.ts';

/** What became of an offer: it was made (`pending`), or it ended so. */
export type OfferOutcome = OfferStatus;

/** Offers that the change made or ended, one outcome for each. @param before null when the task was created */
export function offerOutcomes(before: Task | null, task: Task): OfferOutcome[] {
  if (before?.offers === task.offers) return [];
  const known = new Map(before?.offers.map((one) => [one.offer_id, one.status]));
  return task.offers.flatMap(({ offer_id, status }) => {
    const was = known.get(offer_id);
    if (was === status) return [];
    return was === undefined && status !== 'pending' ? ['pending' as const, status] : [status];
  });
}

/** How long the task had waited in the queue when the change offered or assigned it, ms; null when it did neither. */
export function matchedAfter(before: Task | null, task: Task): number | null {
  const isMatched = task.status === 'offered' || task.status === 'accepted';
  if (before?.status !== 'queued' || !isMatched) return null;
  return Math.max(0, task.updated_at - Math.max(before.status_changed_at, startsAt(before)));
}
