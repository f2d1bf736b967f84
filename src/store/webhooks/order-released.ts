// Endpoints that are told of a task's events in order no more. What waits there for earlier events would wait until
// those are settled or have failed for long; it is let go instead. The change itself notes the endpoint in the
// partition's `unordered` set, from which the sweeper takes it when that is done.

import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { memberId, scan } from '../redis/lists.ts';
import { defineScripts } from '../redis/scripts.ts';
import { deliveriesIndex } from './deliveries.ts';
import { type DeliveryTarget, fieldOf, PARKED, pendingMember, readListed } from './delivery-target.ts';
import { loadEndpoint } from './endpoints.ts';

// ARGV: member, field, now, time of those who wait for their receiver. What is in hand or due is left alone.
const RELEASE = `
if redis.call('HDEL', KEYS[2], 'w' .. ARGV[2]) == 0 then return 0 end
local score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0)
if score <= tonumber(ARGV[3]) or score >= tonumber(ARGV[4]) or score % 1 ~= 0 then return 0 end
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 1
`;

const withScripts = defineScripts<{ biolayerReleaseOrdered(...args: (string | number)[]): Promise<number> }>({
  biolayerReleaseOrdered: { lua: RELEASE, numberOfKeys: 2 },
});

/**
 * Makes due what waits for earlier events to an endpoint, unless that is told in order (again). May be repeated.
 * @returns what is due now, in batches.
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
    const gone = await Promise.all(
      all.map((owed) =>
        withScripts(db.redis).biolayerReleaseOrdered(
          keys.pendingDeliveries,
          keys.ordering(owed.task_id),
          pendingMember(owed),
          fieldOf(owed),
          db.clock.now(),
          PARKED,
        ),
      ),
    );
    yield all.filter((_, index) => gone[index] === 1);
  }
}
