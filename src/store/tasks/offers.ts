// The index of a worker's offers. Offers are part of their task; each worker has a set of the offers made to it by when
// they end or ended, so that an ended offer is still found for a while.

import type { Task } from '../../state/tasks/task.ts';
import { MAX_CAPACITY } from '../../state/workers/worker.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

/** Ended offers stay in a worker's index for this long, ms. */
const KEPT_MS = 7 * 24 * 3600 * 1000;
/** Most offers in a worker's index: all that may be open, and so many that have ended. Those that ended first are removed first. */
const MOST = MAX_CAPACITY + 200;

/** Index writes for the offers that were made, ended or got another end between two versions of a task. */
export function offerWrites(db: Db, before: Task | null, after: Task): Write[] {
  if (after.offers.length === 0) return [];
  const keys = orgKeysOf(db.prefix, after.org_id);
  const was = new Map((before?.offers ?? []).map((offer) => [offer.offer_id, offer]));
  const writes: Write[] = [];
  for (const offer of after.offers) {
    const known = was.get(offer.offer_id);
    if (known?.status === offer.status && known.expires_at === offer.expires_at) continue;
    const key = keys.workerOffers(offer.worker_id);
    const ends = offer.status === 'pending' ? offer.expires_at : Math.min(offer.expires_at, after.updated_at);
    writes.push(['ZADD', key, ends, `${offer.offer_id} ${after.task_id}`]);
    if (offer.status === 'pending')
      writes.push(
        ['ZREMRANGEBYSCORE', key, 0, offer.offered_at - KEPT_MS],
        ['ZREMRANGEBYRANK', key, 0, -MOST - 1],
      );
  }
  return writes;
}

/** The worker's offers that have not ended. @param now ms. */
export async function openOffers(
  db: Db,
  orgId: string,
  workerId: string,
  now: number,
): Promise<{ offer_id: string; task_id: string }[]> {
  const key = orgKeysOf(db.prefix, orgId).workerOffers(workerId);
  const members = await db.redis.zrangebyscore(key, `(${now}`, '+inf');
  return members.map(parse);
}

/** Id of the task of a worker's offer, open or ended; null when the index has no offer with this id. */
export async function taskOfOffer(
  db: Db,
  orgId: string,
  workerId: string,
  offerId: string,
): Promise<string | null> {
  const isWanted = (one: { offer_id: string }) => one.offer_id === offerId;
  // Nearly all are open, and a worker has fewer of those than of ended ones.
  const open = (await openOffers(db, orgId, workerId, db.clock.now())).find(isWanted);
  if (open !== undefined) return open.task_id;
  const members = await db.redis.zrange(orgKeysOf(db.prefix, orgId).workerOffers(workerId), 0, '-1');
  return members.map(parse).find(isWanted)?.task_id ?? null;
}

function parse(member: string): { offer_id: string; task_id: string } {
  const [offer_id = '', task_id = ''] = member.split(' ');
  return { offer_id, task_id };
}
