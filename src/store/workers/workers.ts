// Workers in Redis, and the index of ready workers: a sorted set by idle time for each of their attributes, so that
// matching finds the longest idle worker among the fewest candidates.

import type { OutboxEntry } from '../../state/outbox.ts';
import type { Shape } from '../../state/text/forms.ts';
import { takesUnpooled, workerAttributes } from '../../state/workers/matching.ts';
import { accuracyOf } from '../../state/workers/track-record.ts';
import { changesWorker, isReady, next, type Worker } from '../../state/workers/worker.ts';
import { type Change, commit, EMPTY_CHANGE, type Guard, merge, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { listMember } from '../redis/lists.ts';
import { outboxWrites } from '../redis/outbox.ts';
import { loadRecord, loadRecords, recordWrites } from '../redis/records.ts';

const SHAPE: Shape<Worker> = {
  worker_id: 'string',
  org_id: 'string',
  version: 'number',
  pool_ids: 'strings',
  skills: 'strings',
  certifications: 'strings',
  trust_level: 'number',
  rating: 'number',
  track: 'object',
  capacity: 'number',
  availability: 'string',
  reservations: 'strings',
  idle_since: 'number',
  created_at: 'number',
  updated_at: 'number',
};

/** Loads workers in one round trip, in the order of `ids`; null for one that does not exist or cannot be read. */
export function loadWorkers(db: Db, orgId: string, ids: readonly string[]): Promise<(Worker | null)[]> {
  const keys = orgKeysOf(db.prefix, orgId);
  return loadRecords(db, ids.map(keys.worker), SHAPE);
}

/** Loads a worker; null when there is none. @throws UnreadableRecord */
export function loadWorker(db: Db, orgId: string, id: string): Promise<Worker | null> {
  return loadRecord(db, orgKeysOf(db.prefix, orgId).worker(id), SHAPE);
}

/**
 * Guards and writes that create (`before` null), change or remove (`after` null) a worker. An outbox entry is added when
 * the worker becomes ready, when its eligibility changes, and when it may no longer be eligible for its offers. The id of
 * a removed worker cannot be used again until its tasks have been taken back.
 */
export function workerWrites(db: Db, before: Worker | null, after: Worker | null): Change {
  const worker = after ?? before;
  if (worker === null) return EMPTY_CHANGE;
  const keys = orgKeysOf(db.prefix, worker.org_id);
  const key = keys.worker(worker.worker_id);
  const writes: Write[] = [];
  if (after === null) {
    writes.push(['DEL', key], ['DEL', keys.workerOffers(worker.worker_id)]);
    writes.push(['DEL', keys.workerLog(worker.worker_id)]);
    writes.push(
      ['DEL', keys.notificationChannels(worker.worker_id)],
      ['DEL', keys.notices(worker.worker_id)],
    );
    writes.push(['SREM', keys.notifiedWorkers, worker.worker_id]);
    writes.push(['ZREM', keys.index('workers'), listMember(worker.created_at, worker.worker_id)]);
    if (worker.reservations.length > 0)
      writes.push(['SADD', keys.removedWorkerTasks(worker.worker_id), ...worker.reservations]);
    for (const taskId of worker.reservations)
      writes.push([
        'ZADD',
        keys.orphanedReservations,
        db.clock.now(),
        orphanedReservationMember(worker.org_id, worker.worker_id, taskId),
      ]);
  } else {
    writes.push(...recordWrites(key, before?.version ?? 0, after).writes);
    if (before === null)
      writes.push(
        ['HSET', key, 'i', after.incarnation ?? ''],
        ['ZADD', keys.index('workers'), 0, listMember(worker.created_at, worker.worker_id)],
      );
  }

  const was = readyAttributes(before);
  const is = readyAttributes(after);
  for (const attribute of was)
    if (!is.has(attribute)) writes.push(['ZREM', keys.ready(attribute), worker.worker_id]);
  if (
    after !== null &&
    (was.size !== is.size || before?.idle_since !== after.idle_since || changedProfile(before, after))
  )
    for (const attribute of is)
      writes.push(['ZADD', keys.ready(attribute), after.idle_since, worker.worker_id]);
  for (const level of ['trust_level', 'rating'] as const) {
    if (is.size === 0 && was.size > 0) writes.push(['ZREM', keys.readyBy(level), worker.worker_id]);
    if (after !== null && is.size > 0 && (was.size === 0 || before?.[level] !== after[level]))
      writes.push(['ZADD', keys.readyBy(level), after[level], worker.worker_id]);
  }

  if (concernsMatching(before, after)) {
    const entry: OutboxEntry = {
      kind: 'worker',
      org_id: worker.org_id,
      worker_id: worker.worker_id,
      version: after?.version ?? worker.version + 1,
      at: after?.updated_at ?? db.clock.now(),
      orphaned_tasks: after === null ? worker.reservations : [],
      ...(isEligibilityReduced(before, after) && { eligibility_reduced: true }),
    };
    writes.push(...outboxWrites(keys.outbox, entry));
  }
  writes.push(workerNotification(db, worker.org_id, worker.worker_id));
  const guards: Guard[] =
    before === null
      ? [
          { kind: 'absent', key },
          { kind: 'absent', key: keys.removedWorkerTasks(worker.worker_id) },
        ]
      : [asLoaded(db, before)];
  return { guards, writes };
}

/** Guard that the worker has not changed since it was loaded, nor been replaced by another with the same id. */
export function asLoaded(
  db: Db,
  {
    org_id,
    worker_id,
    version,
    incarnation = '',
  }: Pick<Worker, 'org_id' | 'worker_id' | 'version' | 'incarnation'>,
): Guard {
  return { kind: 'version', key: orgKeysOf(db.prefix, org_id).worker(worker_id), version, incarnation };
}

/** The write that notifies subscribers of a change of the worker. */
export function workerNotification(db: Db, orgId: string, workerId: string): Write {
  return ['SPUBLISH', orgKeysOf(db.prefix, orgId).changes, `worker ${workerId}`];
}

/** Removes an orphaned reservation: the task has been taken back from the removed worker. */
export async function releaseOrphanedReservation(
  db: Db,
  orgId: string,
  workerId: string,
  taskId: string,
): Promise<void> {
  const keys = orgKeysOf(db.prefix, orgId);
  const member = orphanedReservationMember(orgId, workerId, taskId);
  await commit(db.redis, {
    guards: [],
    writes: [
      ['ZREM', keys.orphanedReservations, member],
      ['SREM', keys.removedWorkerTasks(workerId), taskId],
    ],
  });
}

/** Whether a removed worker with this id still has tasks that have not been taken back. */
export async function isBeingRemoved(db: Db, orgId: string, workerId: string): Promise<boolean> {
  return (await db.redis.exists(orgKeysOf(db.prefix, orgId).removedWorkerTasks(workerId))) === 1;
}

function orphanedReservationMember(orgId: string, workerId: string, taskId: string): string {
  return `${orgId} ${workerId} ${taskId}`;
}

function readyAttributes(worker: Worker | null): Set<string> {
  return new Set(worker !== null && isReady(worker) ? workerAttributes(worker) : []);
}

function concernsMatching(before: Worker | null, after: Worker | null): boolean {
  if (after === null || isEligibilityReduced(before, after)) return true;
  return isReady(after) && (before === null || !isReady(before) || changedProfile(before, after));
}

/** Whether the worker may no longer be eligible for its offers: it is unavailable, or its profile or capacity is reduced. */
function isEligibilityReduced(before: Worker | null, after: Worker | null): boolean {
  if (before === null || after === null || after.reservations.length === 0) return false;
  const isLower =
    (['trust_level', 'rating', 'capacity'] as const).some((one) => after[one] < before[one]) ||
    (accuracyOf(after.track).accuracy ?? 0) < (accuracyOf(before.track).accuracy ?? 0);
  const isLacking = (['pool_ids', 'skills', 'certifications'] as const).some((list) =>
    before[list].some((one) => !after[list].includes(one)),
  );
  const isUnavailable = before.availability === 'available' && after.availability !== 'available';
  const isRestricted = takesUnpooled(before) && !takesUnpooled(after);
  return isUnavailable || isLower || isLacking || isRestricted;
}

function changedProfile(before: Worker | null, after: Worker): boolean {
  const profile = (worker: Worker) => {
    const { capacity, rating, trust_level, pool_ids, skills, certifications } = worker;
    const levels = [capacity, rating, trust_level, accuracyOf(worker.track).accuracy];
    return JSON.stringify([levels, pool_ids, takesUnpooled(worker), skills, certifications]);
  };
  return before === null || profile(before) !== profile(after);
}

/**
 * Changes a worker by compare-and-set.
 * @param credentialGuards guards of the caller's authorization, loaded before each attempt.
 * @param admit throws when the caller may not change the worker; returns further guards of the change.
 * @returns the worker; null when there is none. @throws UnreadableRecord, ContendedError
 */
export async function changeWorker(
  db: Db,
  orgId: string,
  workerId: string,
  change: Partial<Worker> | ((worker: Worker) => Partial<Worker>),
  credentialGuards: () => Promise<Change>,
  admit: (worker: Worker) => Promise<Change>,
): Promise<Worker | null> {
  return updateWithRetry('worker', async () => {
    const callerGuards = await credentialGuards();
    const before = await loadWorker(db, orgId, workerId);
    if (before === null) return null;
    const more = await admit(before);
    const given = typeof change === 'function' ? change(before) : change;
    if (!changesWorker(before, given)) return before;
    const after = next(before, given, db.clock.now());
    if (await commit(db.redis, merge(callerGuards, more, workerWrites(db, before, after)))) return after;
    return CONFLICT;
  });
}
