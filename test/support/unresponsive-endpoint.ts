// Checks that an endpoint that never responds does not delay a healthy one. The suite uses a thousand queued deliveries,
// test/faults ten thousand.
import { expect } from 'vitest';
import type { Queues } from '../../src/queues/queues.ts';
import type { Endpoint } from '../../src/state/webhooks/endpoint.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import type { DeliveryStatus } from '../../src/store/webhooks/delivery-record.ts';
import { deliveriesIndex } from '../../src/store/webhooks/delivery-target.ts';
import { startCallbackReceiver } from './callback-receiver.ts';
import { freshOrg } from './db.ts';
import { addEndpoint, changeEndpoint, enqueueMessages } from './endpoints.ts';
import { outboxLength } from './processors.ts';

const SOON = { timeout: 30_000, interval: 20 };

/**
 * Checks that the healthy endpoint gets its events at once, and that waiting deliveries are in no queue.
 * @param count deliveries queued for the endpoint that hangs. @param slots most concurrent attempts to one receiver.
 */
export async function checkUnresponsiveEndpoint(
  db: Db,
  queues: Queues,
  count: number,
  slots: number,
): Promise<void> {
  const countOf = ({ org_id, endpoint_id }: Endpoint, status: DeliveryStatus) =>
    db.redis.zcard(orgKeysOf(db.prefix, org_id).index(deliveriesIndex(endpoint_id, status)));
  const org = freshOrg(db);
  const hanging = await startCallbackReceiver(() => ({ status: 204, after: new Promise(() => {}) }));
  const healthy = await startCallbackReceiver();
  const bad = await addEndpoint(db, org, hanging.url);
  const good = await addEndpoint(db, org, healthy.url);
  await enqueueMessages(db, bad, count);
  await expect.poll(() => outboxLength(db), SOON).toBe(0);
  await enqueueMessages(db, good, 50);
  await expect.poll(() => countOf(good, 'succeeded'), SOON).toBe(50);
  expect(healthy.received).toHaveLength(50);
  // No attempt has timed out yet, and the hanging endpoint uses no more slots than one receiver may.
  expect(hanging.received.length).toBeLessThanOrEqual(slots);
  expect(await countOf(bad, 'pending')).toBe(count);
  // The other deliveries wait in the backlog and not in a queue.
  const waiting = () => db.redis.zcard(orgKeysOf(db.prefix, org).backlog(bad.endpoint_id));
  await expect.poll(waiting, SOON).toBe(count - hanging.received.length);
  expect(await queues.shards[0].all.webhooks.getJobCountByTypes('wait', 'delayed')).toBe(0);
  await changeEndpoint(db, bad, null);
}
