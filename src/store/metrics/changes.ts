// Metrics of what this process has committed to tasks: offers, matching and breaches. Web and worker processes both commit, so
// both count, and their sum is the whole.

import { Counter, Histogram, type Registry } from 'prom-client';
import { matchedAfter, offerOutcomes } from '../../state/stats/offer-outcomes.ts';
import { OFFER_STATUSES } from '../../state/tasks/offer.ts';
import { SLA_CLOCKS } from '../../state/tasks/task.ts';
import type { Db } from '../redis/connection.ts';

/** From an idle worker who waits to a task for which there is nobody for hours, s. */
const WAITS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200];

/** Counts the changes that are committed through this store from now on. */
export function countChanges(db: Db, registry: Registry): void {
  const registers = [registry];
  const offers = new Counter({
    name: 'biolayer_offers_total',
    help: 'Offers by outcome: made (pending), or how they ended',
    labelNames: ['outcome'],
    registers,
  });
  const breaches = new Counter({
    name: 'biolayer_sla_breaches_total',
    help: 'SLA clocks of tasks that were breached',
    labelNames: ['clock'],
    registers,
  });
  const waits = new Histogram({
    name: 'biolayer_match_wait_seconds',
    help: 'Time from when a task came into the queue until it was offered or assigned',
    buckets: WAITS,
    registers,
  });
  for (const outcome of OFFER_STATUSES) offers.inc({ outcome }, 0);
  for (const clock of SLA_CLOCKS) breaches.inc({ clock }, 0);
  db.onTaskChanged = (before, task) => {
    for (const outcome of offerOutcomes(before, task)) offers.inc({ outcome });
    for (const { clock } of task.breaches.slice(before?.breaches.length ?? 0)) breaches.inc({ clock });
    const waited = matchedAfter(before, task);
    if (waited !== null) waits.observe(waited / 1000);
  };
}
