// The effects of outbox entries. All of them may be repeated: job ids are derived from the entry, and a delivery is
// enqueued once.
//
// 1. Deliveries to the org's endpoints are enqueued, notices are added for workers who have channels, matches are requested,
//    and jobs are added.
// 2. Jobs of cancelled matches are removed. If such a match has been scheduled again since, its job is added again: entries
//    of one task may be relayed in any order. The job of a moment stays: it runs what is due then, if anything.

import { checkJob, deliveryJob, noticeJob, withTrace } from '../queues/new-jobs.ts';
import { cancelledChecks, cancelledJobs, jobsOf, matchRequestsOf } from '../queues/outbox-jobs.ts';
import type { AddJobs, Queues } from '../queues/queues.ts';
import type { MatchRequest, OutboxEntry } from '../state/outbox.ts';
import { checkKey, checksOf, isDelayed } from '../state/tasks/scheduled-checks.ts';
import { addNotices } from '../store/notices/notices.ts';
import type { Db } from '../store/redis/connection.ts';
import { loadTask } from '../store/tasks/tasks.ts';
import type { DeliveryTarget } from '../store/webhooks/delivery-target.ts';
import { enqueueEndpointDeliveries } from '../store/webhooks/fan-out.ts';
import { requestMatching } from './matching.ts';
import { tracedEntries, tracesOf } from './relay-tracing.ts';

export interface RelayDeps {
  db: Db;
  queues: Queues;
  /** Takes the new jobs. */
  jobs: AddJobs;
  /** Parks a delivery whose receiver is at its limit, so that it needs no job; false when it needs one. */
  park: (targets: DeliveryTarget) => Promise<boolean>;
}

/**
 * Carries out the effects of the entries.
 * @throws the error of an entry or of Redis; then any of the effects may have happened.
 */
export function relayEntries(deps: RelayDeps, entries: readonly OutboxEntry[]): Promise<void> {
  return tracedEntries(entries, (traced) => carryOut(deps, traced));
}

async function carryOut(deps: RelayDeps, entries: readonly OutboxEntry[]): Promise<void> {
  const { db, queues, jobs } = deps;
  const now = db.clock.now();
  await Promise.all([
    jobs.add(entries.flatMap((entry) => jobsOf(entry, now))),
    requestMatches(deps, entries),
    deliverToEndpoints(deps, entries),
    notifyWorkers(deps, entries),
  ]);
  await Promise.all(entries.map((entry) => queues.drop(entry.org_id, cancelledJobs(entry))));
  await Promise.all(entries.map((entry) => restoreJobs(deps, entry, now)));
}

/** Requests the matches of the entries, one call for each org. */
async function requestMatches({ db, jobs }: RelayDeps, entries: readonly OutboxEntry[]): Promise<void> {
  const byOrg = new Map<string, MatchRequest[]>();
  for (const entry of entries) {
    const requests = matchRequestsOf(entry);
    if (requests.length > 0) byOrg.set(entry.org_id, [...(byOrg.get(entry.org_id) ?? []), ...requests]);
  }
  await Promise.all([...byOrg].map(([org, requests]) => requestMatching(db, jobs, org, requests)));
}

/** Enqueues the deliveries to endpoints, with a job for each that is not parked. */
async function deliverToEndpoints(
  { db, jobs, park }: RelayDeps,
  entries: readonly OutboxEntry[],
): Promise<void> {
  const targets = await enqueueEndpointDeliveries(db, entries);
  const waits = await Promise.all(targets.map(park));
  const traces = tracesOf(entries);
  const due = targets.filter((_, index) => waits[index] === false);
  await jobs.add(due.map((one) => withTrace(deliveryJob(one), traces.ofEvent(one))));
}

/** Adds the notices of the entries, with a job for each. */
async function notifyWorkers({ db, jobs }: RelayDeps, entries: readonly OutboxEntry[]): Promise<void> {
  const notices = await addNotices(db, entries);
  const traces = tracesOf(entries);
  await jobs.add(notices.map((one) => withTrace(noticeJob(one), traces.ofNotice(one))));
}

/**
 * Adds jobs again that were removed for `entry` although their checks have been scheduled again. A check that is scheduled
 * after this load has its own entry, whose job is added after the removal.
 */
async function restoreJobs({ db, queues }: RelayDeps, entry: OutboxEntry, now: number): Promise<void> {
  const removed = new Set(cancelledChecks(entry).map(checkKey));
  if (entry.kind !== 'task' || removed.size === 0) return;
  const stored = await loadTask(db, entry.org_id, entry.task_id);
  if (stored === null) return;
  const asked = checksOf(stored.task)
    .filter(isDelayed)
    .filter((check) => removed.has(checkKey(check)));
  const about = { ...entry, version: stored.task.version };
  await queues.add(asked.map((check) => checkJob(about, check, now)));
}
