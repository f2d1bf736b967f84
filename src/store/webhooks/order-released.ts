// Endpoints whose ordered delivery was switched off. Deliveries there that still wait for earlier events are released at
// once. The change of the endpoint adds it to the partition's `order-released` set; the sweeper removes it when its
// deliveries are released.

import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { memberId, scan } from '../redis/lists.ts';
import { defineScript } from '../redis/scripts.ts';
import {
  type DeliveryTarget,
  deliveriesIndex,
  fieldOf,
  PARKED,
  pendingMember,
  readListed,
} from './delivery-target.ts';
import { loadEndpoint } from './endpoints.ts';

// Makes a waiting delivery due. One that is due, parked or leased stays as it is.
// ARGV: member, field, now, the due time of parked deliveries.
const RELEASE = `
if redis.call('HDEL', KEYS[2], 'w' .. ARGV[2]) == 0 then return 0 end
local score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if score <= tonumber(ARGV[3]) or score >= tonumber(ARGV[4]) or score % 1 ~= 0 then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1
`;

const runRelease = defineScript<number>(RELEASE);

/**
 * Makes deliveries due that wait for earlier events to an endpoint, unless ordered delivery is on again. Repeatable.
 * @returns the deliveries made due, in batches.
 */
export async function* releaseOrdered(
  db: Db,
  orgId: string,
  endpointId: string,
): AsyncGenerator<DeliveryTarget[]> {
  if ((await loadEndpoint(db, orgId, endpointId))?.ordering === 'per_task') return;
  const keys = orgKeysOf(db.prefix, orgId);
  const pending = keys.index(deliveriesIndex(endpointId, 'pending'));
  for await (const members of scan(db, [pending], { order: 'asc', after: null, from: null, to: null })) {
    const all = members.map((member) => readListed(orgId, memberId(member)));
    const results = await Promise.all(
      all.map((target) =>
        runRelease(
          db.redis,
          [keys.pendingDeliveries, keys.ordering(target.task_id)],
          [pendingMember(target), fieldOf(target), db.clock.now(), PARKED],
        ),
      ),
    );
    yield all.filter((_, index) => results[index] === 1);
  }
}
