// What follows from entries of the outbox. All of it may be repeated: the ids of jobs follow from the entry, and a
// delivery is owed once.
//
// 1. The events are owed to the endpoints of their org, and the jobs are made.
// 2. The jobs are removed that are pointless now, and it is looked whether one of them has been asked for again since:
//    entries of one task may be relayed in any order.

import { cancelledJobs, checkJob, deliveryJob, jobsOf, matchRequestsOf } from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import type { MatchRequest, OutboxEntry } from '../state/outbox.ts';
import { checkKey, checksOf, isDelayed, mayReturn } from '../state/tasks/checks.ts';
import type { Db } from '../store/redis/connection.ts';
import { loadTask } from '../store/tasks/tasks.ts';
import type { DeliveryTarget } from '../store/webhooks/delivery-target.ts';
import { enqueueEndpointDeliveries } from '../store/webhooks/fan-out.ts';
import { requestMatching } from './matching.ts';

export interface RelayDeps {
  db: Db;
  queues: Queues;
  /** Lets a delivery wait whose receiver is known to take no more, so that it needs no job; false when it does. */
  park: (targets: DeliveryTarget) => Promise<boolean>;
}

/**
 * Does all that follows from the entries.
 * @throws what goes wrong with one of them, or with Redis; then any part may be done.
 */
export async function relayEntries(deps: RelayDeps, entries: readonly OutboxEntry[]): Promise<void> {
  const { db, queues } = deps;
  const now = db.clock.now();
  await Promise.all([
    queues.add(entries.flatMap((entry) => jobsOf(entry, now))),
    requestMatches(deps, entries),
    tellEndpoints(deps, entries),
  ]);
  await queues.drop(entries.flatMap(cancelledJobs));
  await Promise.all(entries.map((entry) => askAgain(deps, entry, now)));
}

/** Requests what the entries ask to be matched: of each org at once. */
async function requestMatches({ db, queues }: RelayDeps, entries: readonly OutboxEntry[]): Promise<void> {
  const byOrg = new Map<string, MatchRequest[]>();
  for (const entry of entries) {
    const requests = matchRequestsOf(entry);
    if (requests.length > 0) byOrg.set(entry.org_id, [...(byOrg.get(entry.org_id) ?? []), ...requests]);
  }
  await Promise.all([...byOrg].map(([org, requests]) => requestMatching(db, queues, org, requests)));
}

/** Owes the events to the endpoints that want them, with a job for each that a receiver may take now. */
async function tellEndpoints(
  { db, queues, park }: RelayDeps,
  entries: readonly OutboxEntry[],
): Promise<void> {
  const targets = await enqueueEndpointDeliveries(db, entries);
  const waits = await Promise.all(targets.map(park));
  await queues.add(targets.filter((_, index) => waits[index] === false).map((one) => deliveryJob(one)));
}

/**
 * Makes the jobs again that were removed for `entry` although their questions have come back. What comes
 * back after this look has its own entry, whose job is made after the removal.
 */
async function askAgain({ db, queues }: RelayDeps, entry: OutboxEntry, now: number): Promise<void> {
  const removed = new Set(entry.kind === 'task' ? entry.cancelled.filter(mayReturn).map(checkKey) : []);
  if (entry.kind !== 'task' || removed.size === 0) return;
  const stored = await loadTask(db, entry.org_id, entry.task_id);
  if (stored === null) return;
  const asked = checksOf(stored.task)
    .filter(isDelayed)
    .filter((check) => removed.has(checkKey(check)));
  const about = { ...entry, version: stored.task.version };
  await queues.add(asked.map((check) => checkJob(about, check, now)));
}
