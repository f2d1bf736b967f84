// Deliveries in the backlog of a receiver: they do not delay other receivers, and all are sent in the end.
import { expect, it } from 'vitest';
import type { Endpoint } from '../../../src/state/webhooks/endpoint.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { parkDelivery } from '../../../src/store/webhooks/backlog.ts';
import { loadDeliveries } from '../../../src/store/webhooks/deliveries.ts';
import type { DeliveryStatus } from '../../../src/store/webhooks/delivery-record.ts';
import { deliveriesIndex } from '../../../src/store/webhooks/delivery-target.ts';
import { startCallbackReceiver } from '../../support/callback-receiver.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';
import { deferred } from '../../support/deferred.ts';
import { addEndpoint, changeEndpoint, enqueueMessages } from '../../support/endpoints.ts';
import {
  openQueues,
  openSweeper,
  outboxLength,
  runProcessors,
  runProcessorsOfFile,
  runRelay,
} from '../../support/processors.ts';
import { checkUnresponsiveEndpoint } from '../../support/unresponsive-endpoint.ts';

const db = await openTestDb();
const SOON = { timeout: 30_000, interval: 20 };
/** Slots of a receiver in the processors of this file. */
const AT_ONCE = 32;
const { queues } = await runProcessorsOfFile(db, { sweepEvery: 3600_000 });

const countOf = ({ org_id, endpoint_id }: Endpoint, status: DeliveryStatus) =>
  db.redis.zcard(orgKeysOf(db.prefix, org_id).index(deliveriesIndex(endpoint_id, status)));
const waitingFor = ({ org_id, endpoint_id }: Endpoint) =>
  db.redis.zcard(orgKeysOf(db.prefix, org_id).backlog(endpoint_id));
const never = new Promise<void>(() => {});

it('an endpoint that hangs with 1000 queued deliveries does not delay a healthy one', () =>
  checkUnresponsiveEndpoint(db, queues, 1000, AT_ONCE));

it('deliveries in the backlog of a busy receiver are all sent, each once', async () => {
  const { open, opened: after } = deferred();
  const receiver = await startCallbackReceiver(() => ({ status: 204, after }));
  const endpoint = await addEndpoint(db, freshOrg(db), receiver.url);
  const ids = await enqueueMessages(db, endpoint, 300);
  await expect.poll(() => waitingFor(endpoint), SOON).toBe(300 - AT_ONCE);
  open();
  await expect.poll(() => countOf(endpoint, 'succeeded'), SOON).toBe(300);
  expect(receiver.received.map((one) => one.id).sort()).toEqual(ids.sort());
  expect(await waitingFor(endpoint)).toBe(0);
});

it('deliveries in the backlog of a cooling receiver use no attempt and are sent when it recovers', async () => {
  let status = 503;
  const receiver = await startCallbackReceiver(() => ({ status }));
  const endpoint = await addEndpoint(db, freshOrg(db), receiver.url, {
    retry_policy: { max_retries: 1, backoff_seconds: 1 },
  });
  const [first = ''] = await enqueueMessages(db, endpoint, 1);
  await expect.poll(() => receiver.received.length, SOON).toBe(1);
  await enqueueMessages(db, endpoint, 20);
  await expect.poll(() => waitingFor(endpoint), SOON).toBe(20);
  status = 204;
  await expect.poll(() => countOf(endpoint, 'succeeded'), SOON).toBe(21);
  expect(receiver.received.filter((one) => one.id !== first)).toHaveLength(20);
});

it('all deliveries in the backlog of an endpoint are stopped when it is disabled', async () => {
  const receiver = await startCallbackReceiver(() => ({ status: 204, after: never }));
  const endpoint = await addEndpoint(db, freshOrg(db), receiver.url);
  const [first = ''] = await enqueueMessages(db, endpoint, 100);
  await expect.poll(() => waitingFor(endpoint), SOON).toBe(100 - AT_ONCE);
  await changeEndpoint(db, endpoint, { enabled: false });
  // As the sweeper would: nothing else moves while the receiver hangs.
  await openSweeper(db, queues).sweep();
  await expect.poll(() => countOf(endpoint, 'stopped'), SOON).toBe(100 - AT_ONCE);
  expect(receiver.received).toHaveLength(AT_ONCE);
  expect((await loadDeliveries(db, endpoint.org_id, first)).size).toBe(1);
});

it('the sweeper releases a backlog that no process releases', async () => {
  const receiver = await startCallbackReceiver();
  const own = await openTestDb();
  const endpoint = await addEndpoint(own, freshOrg(own), receiver.url);
  const { org_id, endpoint_id } = endpoint;
  // Nothing runs the jobs yet.
  const ownQueues = openQueues(own);
  const relay = await runRelay(own, ownQueues);
  const ids = await enqueueMessages(own, endpoint, 40);
  await expect.poll(() => outboxLength(own), SOON).toBe(0);
  for (const task_id of ids)
    expect(await parkDelivery(own, { org_id, task_id, sequence: 0, endpoint_id }, endpoint_id, null)).toBe(
      true,
    );
  await relay.close();
  await ownQueues.shards[0].all.webhooks.obliterate({ force: true });
  await runProcessors(own, { sweepEvery: 3600_000 });
  await openSweeper(own, ownQueues).sweep();
  const succeeded = orgKeysOf(own.prefix, org_id).index(deliveriesIndex(endpoint_id, 'succeeded'));
  await expect.poll(() => own.redis.zcard(succeeded), SOON).toBe(40);
  expect(receiver.received).toHaveLength(40);
});
