// Where a worker's offers are found. Offers live in their task; each worker has an index of those made to
// them, by when they end or ended, so that an offer that is over is still known as such for a while.

import type { Task } from '../../state/tasks/task.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

/** How many offers a worker's index keeps; the ones that ended first go first. */
const KEPT = 200;

/** Index writes for the offers that began or ended between two views of a task. */
export function offerWrites(db: Db, before: Task | null, after: Task): Write[] {
  const keys = orgKeysOf(db.prefix, after.org_id);
  const was = new Map((before?.offers ?? []).map((offer) => [offer.offer_id, offer.status]));
  const writes: Write[] = [];
  for (const offer of after.offers) {
    if (was.get(offer.offer_id) === offer.status) continue;
    const key = keys.workerOffers(offer.worker_id);
    const ends = offer.status === 'pending' ? offer.expires_at : Math.min(offer.expires_at, after.updated_at);
    writes.push(['ZADD', key, ends, `${offer.offer_id} ${after.task_id}`]);
    if (offer.status === 'pending') writes.push(['ZREMRANGEBYRANK', key, 0, -KEPT - 1]);
  }
  return writes;
}

/** Offers in the index that had not ended at `now`, as ids. */
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

/** The task of an offer made to the worker, open or over; null when none of that id is known. */
export async function taskOfOffer(
  db: Db,
  orgId: string,
  workerId: string,
  offerId: string,
): Promise<string | null> {
  const members = await db.redis.zrange(orgKeysOf(db.prefix, orgId).workerOffers(workerId), 0, '-1');
  return members.map(parse).find((one) => one.offer_id === offerId)?.task_id ?? null;
}

function parse(member: string): { offer_id: string; task_id: string } {
  const [offer_id = '', task_id = ''] = member.split(' ');
  return { offer_id, task_id };
}
