// Deliveries that wait for their receiver to take them. While it takes no more they stand in its list, and
// nobody looks at them again; as places fall free they are let out, first come, first served. In the `owed`
// set they have a time of their own meanwhile, which never comes: whoever stands in the list is found there,
// and whoever is let out is due at once, so that a job lost on the way is made again by the sweeper.

import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScripts } from '../redis/scripts.ts';
import { type DeliveryTarget, PARKED, pendingMember, readPendingMember } from './delivery-target.ts';

// ARGV: member, its lease or '', now, time of those who wait, org and receiver.
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

// Whoever was sent by hand meanwhile, or is settled, stands in the list for nothing.
const RELEASE = `
local out = {}
while #out < tonumber(ARGV[1]) do
  local first = redis.call('ZPOPMIN', KEYS[2])[1]
  if not first then break end
  local score = redis.call('ZSCORE', KEYS[1], first)
  if score and tonumber(score) == tonumber(ARGV[3]) then
    redis.call('ZADD', KEYS[1], ARGV[2], first)
    out[#out + 1] = first
  end
end
local left = redis.call('ZCARD', KEYS[2])
if left == 0 then redis.call('SREM', KEYS[3], ARGV[4]) end
return {left, out}
`;

const withScripts = defineScripts<{
  biolayerPark(...args: (string | number)[]): Promise<number>;
  biolayerReleaseBacklog(...args: (string | number)[]): Promise<[left: number, out: string[]]>;
}>({
  biolayerPark: { lua: PARK, numberOfKeys: 3 },
  biolayerReleaseBacklog: { lua: RELEASE, numberOfKeys: 3 },
});

/**
 * Puts a delivery into its receiver's list, without an attempt.
 * @param score what `takeDelivery` gave, or null when it was not taken but is due.
 * @returns false when it is not theirs to park: the lease was lost, or it is not due, or settled.
 */
export async function parkDelivery(
  db: Db,
  owed: DeliveryTarget,
  receiver: string,
  score: number | null,
): Promise<boolean> {
  const keys = orgKeysOf(db.prefix, owed.org_id);
  const parked = await withScripts(db.redis).biolayerPark(
    keys.pendingDeliveries,
    keys.backlog(receiver),
    keys.backlogged,
    pendingMember(owed),
    score ?? '',
    db.clock.now(),
    PARKED,
    `${owed.org_id} ${receiver}`,
  );
  return parked === 1;
}

/** Lets out up to `count` of those who wait for a receiver; they are due now. @returns them, and how many are left. */
export async function releaseBacklog(
  db: Db,
  orgId: string,
  receiver: string,
  count: number,
): Promise<{ out: DeliveryTarget[]; left: number }> {
  const keys = orgKeysOf(db.prefix, orgId);
  const [left, out] = await withScripts(db.redis).biolayerReleaseBacklog(
    keys.pendingDeliveries,
    keys.backlog(receiver),
    keys.backlogged,
    count,
    db.clock.now(),
    PARKED,
    `${orgId} ${receiver}`,
  );
  return { out: out.map(readPendingMember), left };
}

/** Receivers of a partition for whom deliveries wait. @param key the partition's `crowded`. */
export async function backloggedReceivers(
  db: Db,
  key: string,
): Promise<{ org_id: string; receiver: string }[]> {
  return (await db.redis.smembers(key)).map((member) => {
    const [org_id = '', receiver = ''] = member.split(' ');
    return { org_id, receiver };
  });
}
