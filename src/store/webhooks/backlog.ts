// The backlog of a receiver: deliveries parked while the receiver is at its concurrency limit or cooling down. A
// parked delivery has no job and costs no work. As slots free up, deliveries are released in first-in, first-out
// order. In the `pending-deliveries` set a parked delivery has a due time that never comes; a released one is due at
// once, so the sweeper recreates its job if that is lost.

import type { Db } from '../redis/connection.ts';
import { orgKeysOf, partitionKeys } from '../redis/keys.ts';
import { partitionsWith, sumOfPartitions } from '../redis/partition-counts.ts';
import { defineScript } from '../redis/scripts.ts';
import { type DeliveryTarget, PARKED, pendingMember, readPendingMember } from './delivery-target.ts';

// Parks a delivery if the caller holds its lease, or if it has no lease and is due.
// ARGV: member, its lease or '', now, the due time of parked deliveries, "<org> <receiver>".
const PARK = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score then return 0 end
if ARGV[2] == '' and tonumber(score) > tonumber(ARGV[3]) then return 0 end
if ARGV[2] ~= '' and tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
redis.call('SADD', KEYS[3], ARGV[5])
return 1
`;

// Moves up to ARGV[1] deliveries from the backlog to due. A member that is no longer parked (redelivered on request,
// or settled) is dropped from the list.
// ARGV: count, now, the due time of parked deliveries, "<org> <receiver>".
const RELEASE = `
local released = {}
while #released < tonumber(ARGV[1]) do
  local first = redis.call('ZPOPMIN', KEYS[2])[1]
  if not first then break end
  local score = redis.call('ZSCORE', KEYS[1], first)
  if score and tonumber(score) == tonumber(ARGV[3]) then
    redis.call('ZADD', KEYS[1], ARGV[2], first)
    released[#released + 1] = first
  end
end
local remaining = redis.call('ZCARD', KEYS[2])
if remaining == 0 then redis.call('SREM', KEYS[3], ARGV[4]) end
return {remaining, released}
`;

const runPark = defineScript<number>(PARK);
const runRelease = defineScript<[remaining: number, released: string[]]>(RELEASE);

/**
 * Parks a delivery in the backlog of its receiver, without an attempt.
 * @param score the lease that `leaseDelivery` returned; null for a due delivery without a lease.
 * @returns false when it was not parked: the lease was lost, or it is not due, or already settled.
 */
export async function parkDelivery(
  db: Db,
  target: DeliveryTarget,
  receiver: string,
  score: number | null,
): Promise<boolean> {
  const keys = orgKeysOf(db.prefix, target.org_id);
  const parked = await runPark(
    db.redis,
    [keys.pendingDeliveries, keys.backlog(receiver), keys.backlogged],
    [pendingMember(target), score ?? '', db.clock.now(), PARKED, `${target.org_id} ${receiver}`],
  );
  return parked === 1;
}

/** Makes up to `count` deliveries of a receiver's backlog due now. @returns them, and how many remain parked. */
export async function releaseBacklog(
  db: Db,
  orgId: string,
  receiver: string,
  count: number,
): Promise<{ released: DeliveryTarget[]; remaining: number }> {
  const keys = orgKeysOf(db.prefix, orgId);
  const [remaining, released] = await runRelease(
    db.redis,
    [keys.pendingDeliveries, keys.backlog(receiver), keys.backlogged],
    [count, db.clock.now(), PARKED, `${orgId} ${receiver}`],
  );
  return { released: released.map(readPendingMember), remaining };
}

/** Receivers of a partition that have a backlog. @param key the partition's `backlogged` set. */
export async function backloggedReceivers(
  db: Db,
  key: string,
): Promise<{ org_id: string; receiver: string }[]> {
  return (await db.redis.smembers(key)).map((member) => {
    const [org_id = '', receiver = ''] = member.split(' ');
    return { org_id, receiver };
  });
}

/** Receivers with a backlog in all partitions: how many, one of them with its org, and how many deliveries they have. */
export async function countBacklogged(
  db: Db,
): Promise<{ backlogged: number; first: string | null; waiting: number }> {
  const [backlogged, waiting, partitions] = await Promise.all([
    sumOfPartitions(db, (keys) => ['SCARD', keys.backlogged]),
    sumOfPartitions(db, (keys) => ['ZCOUNT', keys.pendingDeliveries, PARKED, '+inf']),
    partitionsWith(db, (keys) => [['SCARD', keys.backlogged]]),
  ]);
  const [partition] = partitions;
  if (partition === undefined) return { backlogged, first: null, waiting };
  const [one] = await backloggedReceivers(db, partitionKeys(db.prefix, partition).backlogged);
  return { backlogged, first: one === undefined ? null : `${one.receiver} of org ${one.org_id}`, waiting };
}
