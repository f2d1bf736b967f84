// Deliveries in every state, while Redis is killed, jobs are lost, and worker processes are killed or suspended: each
// arrives, none is recorded twice, and no delivery has two requests at the same time.
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { retryJob } from '../../src/queues/new-jobs.ts';
import { Queues } from '../../src/queues/queues.ts';
import type { Endpoint } from '../../src/state/webhooks/endpoint.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { memberId } from '../../src/store/redis/lists.ts';
import { readTopology } from '../../src/store/redis/topology.ts';
import { loadDeliveries } from '../../src/store/webhooks/deliveries.ts';
import { dueTimeOf } from '../../src/store/webhooks/delivery-lease.ts';
import type { DeliveryStatus } from '../../src/store/webhooks/delivery-record.ts';
import {
  type DeliveryTarget,
  deliveriesIndex,
  fieldOf,
  readListed,
} from '../../src/store/webhooks/delivery-target.ts';
import { loadReplay } from '../../src/store/webhooks/replays.ts';
import { type CallbackReceiver, type Reply, startCallbackReceiver } from '../support/callback-receiver.ts';
import { addTask, addWorker, applyCommands, freshOrg } from '../support/db.ts';
import { deferred } from '../support/deferred.ts';
import { addEndpoint, beginReplay, enqueueMessages } from '../support/endpoints.ts';
import { deleteAllJobs, outboxLength, runRelay } from '../support/processors.ts';
import { openStage, type Stage } from './stage.ts';

const SOON = { timeout: 20_000, interval: 20 };
/** Longer than leases and locks, and than the sweeper needs to find lost jobs. */
const RESCUED = { timeout: 120_000, interval: 100 };
/** Most concurrent attempts of a worker process to one receiver. */
const AT_ONCE = 64;

let stage: Stage;
let db: Db;
let queues: Queues;
beforeEach(async () => {
  stage = await openStage();
  db = stage.db;
  queues = new Queues({
    connectionOf: () => db.redis as Redis,
    prefix: db.prefix,
    now: () => db.clock.now(),
  });
});
afterEach(async () => {
  await queues.close();
  await stage.close();
});

const endpointAt = (url: string, change: Partial<Endpoint> = {}) =>
  addEndpoint(db, freshOrg(db), url, { retry_policy: { max_retries: 10, backoff_seconds: 5 }, ...change });

const indexOf = ({ org_id, endpoint_id }: Endpoint, status: DeliveryStatus) =>
  orgKeysOf(db.prefix, org_id).index(deliveriesIndex(endpoint_id, status));
const deliveryOf = async (target: DeliveryTarget) =>
  (await loadDeliveries(db, target.org_id, target.task_id)).get(fieldOf(target));

/** Expects that every delivery succeeded, is recorded once, and arrived at least once with the same bytes. */
async function allCame(endpoint: Endpoint, receiver: CallbackReceiver, count: number): Promise<void> {
  const succeeded = indexOf(endpoint, 'succeeded');
  await expect.poll(() => db.redis.zcard(succeeded), RESCUED).toBe(count);
  for (const member of await db.redis.zrange(succeeded, 0, '-1')) {
    const { attempts } = (await deliveryOf(readListed(endpoint.org_id, memberId(member)))) ?? {};
    expect(attempts?.filter((one) => one.status === 204)).toHaveLength(1);
  }
  expect(await db.redis.zcard(indexOf(endpoint, 'pending'))).toBe(0);
  expect(new Set(receiver.received.map((one) => one.id)).size).toBe(count);
  expect(new Set(receiver.received.map((one) => `${one.id} ${one.body}`)).size).toBe(count);
}

/** Creates deliveries in all states. */
async function inAllStates() {
  const { open, opened: after } = deferred();
  const held = (): Reply => ({ status: 204, after });
  const failingFirst = (_: unknown, nth: number): Reply => ({ status: nth === 1 ? 500 : 204 });

  // In progress, and parked in the backlog.
  const busy = await startCallbackReceiver(held);
  const toBusy = await endpointAt(busy.url);
  await enqueueMessages(db, toBusy, AT_ONCE + 6);
  // Waiting for a retry.
  const failing = await startCallbackReceiver(failingFirst);
  const toFailing = await endpointAt(failing.url);
  await enqueueMessages(db, toFailing, 3);
  // Waiting for an earlier delivery, which waits for a retry.
  const ordered = await startCallbackReceiver((request, nth) =>
    request.sequence === 1 ? failingFirst(request, nth) : { status: 204 },
  );
  const toOrdered = await endpointAt(ordered.url, { ordering: 'per_task' });
  const { worker_id } = await addWorker(db, toOrdered.org_id, { availability: 'offline' });
  const task = await addTask(db, toOrdered.org_id);
  await applyCommands(
    db,
    task,
    { name: 'match', worker_ids: [worker_id] },
    { name: 'cancel', reason: 'mistake' },
  );
  // A replay that waits for the receiver before it sends the rest.
  const replayed = await startCallbackReceiver(held);
  const org = freshOrg(db);
  for (let count = 0; count < 60; count += 1) await addTask(db, org);
  await expect.poll(() => outboxLength(db), SOON).toBe(0);
  const toReplayed = await addEndpoint(db, org, replayed.url, {
    retry_policy: { max_retries: 10, backoff_seconds: 5 },
  });
  const { replay_id } = await beginReplay(db, toReplayed, 'undelivered');
  const replay = () => loadReplay(db, org, replay_id);

  await expect
    .poll(() => db.redis.zcard(orgKeysOf(db.prefix, toBusy.org_id).backlog(toBusy.endpoint_id)), SOON)
    .toBe(6);
  await expect.poll(() => failing.received.length, SOON).toBe(3);
  await expect
    .poll(() => db.redis.hlen(orgKeysOf(db.prefix, task.org_id).ordering(task.task_id)), SOON)
    .toBe(4);
  await expect.poll(async () => (await replay())?.sent, SOON).toBe(100);
  expect(await queues.shards[0].all.retries.getDelayedCount()).toBe(4);
  await expect.poll(() => outboxLength(db), SOON).toBe(0);

  // Jobs that have not started: while the worker processes, which would run them at once, are suspended.
  await queues.shards[0].all.webhooks.pause();
  const fresh = await startCallbackReceiver();
  const toFresh = await endpointAt(fresh.url);
  for (const worker of stage.workers()) worker.kill('SIGSTOP');
  const relay = await runRelay(db, queues, { redis: readTopology(stage.redis.url) });
  await enqueueMessages(db, toFresh, 5);
  await expect.poll(() => queues.shards[0].all.webhooks.getWaitingCount(), SOON).toBe(5);
  await expect.poll(() => outboxLength(db), SOON).toBe(0);
  await relay.close();
  for (const worker of stage.workers()) worker.kill('SIGCONT');
  expect([busy.received.length, ordered.received.length, fresh.received.length]).toEqual([AT_ONCE, 1, 0]);

  return {
    open,
    async allCame() {
      await allCame(toBusy, busy, AT_ONCE + 6);
      await allCame(toFailing, failing, 3);
      await allCame(toOrdered, ordered, 4);
      expect([...new Set(ordered.received.map((one) => one.sequence))]).toEqual([1, 2, 3, 4]);
      await allCame(toReplayed, replayed, 120);
      await allCame(toFresh, fresh, 5);
      await expect.poll(async () => (await replay())?.status, RESCUED).toBe('completed');
      const { sent = 0, succeeded = 0, failed = 0 } = (await replay()) ?? {};
      expect([sent, succeeded + failed]).toEqual([120, 120]);
      expect(await db.redis.keys('bl:*:pending-deliveries')).toEqual([]);
    },
  };
}

it.each([
  [
    'Redis is killed and started again',
    async () => {
      await stage.redis.kill();
      await stage.redis.start();
    },
  ],
  ['all keys of BullMQ are lost', () => deleteAllJobs(db)],
  [
    'Redis and all worker processes are killed and all keys of BullMQ are lost',
    async () => {
      await Promise.all([stage.redis.kill(), ...stage.workers().map(stage.kill)]);
      await stage.redis.start();
      await deleteAllJobs(db);
      await stage.startWorker();
    },
  ],
])('delivers everything, whatever its state, when %s', async (_, fault) => {
  await stage.startWorker();
  const deliveries = await inAllStates();
  await fault();
  deliveries.open();
  await queues.shards[0].all.webhooks.resume();
  await deliveries.allCame();
});

it('does not send from a process that was suspended between lease and request when another process has the lease', async () => {
  const { open, opened: after } = deferred();
  const receiver = await startCallbackReceiver(() => ({ status: 204, after }));
  const endpoint = await endpointAt(receiver.url);
  const frozen = await stage.startWorker(stage.proxy.url);
  // Redis knows the script that leases a delivery after the first, so that a suspended process need not send it once more.
  const first = await endpointAt((await startCallbackReceiver(() => ({ status: 204 }))).url);
  const [known = ''] = await enqueueMessages(db, first, 1);
  const { org_id: org, endpoint_id: id } = first;
  const earlier = { org_id: org, task_id: known, sequence: 0, endpoint_id: id };
  await expect.poll(async () => (await deliveryOf(earlier))?.status, SOON).toBe('succeeded');
  // The script reads the ordering state of its task.
  const { held, release } = stage.proxy.hold(':ordering:');
  const [task_id = ''] = await enqueueMessages(db, endpoint, 1);
  const { org_id, endpoint_id } = endpoint;
  const target: DeliveryTarget = { org_id, task_id, sequence: 0, endpoint_id };
  await held;
  frozen.kill('SIGSTOP');
  release();
  const lease = async () => ((await dueTimeOf(db, target)) ?? 0) % 1;
  await expect.poll(lease, SOON).toBe(0.5);
  await stage.startWorker();
  await expect.poll(() => receiver.received.length, RESCUED).toBe(1);
  const due = (await dueTimeOf(db, target)) ?? 0;
  frozen.kill('SIGCONT');
  // It has seen the lease of the other process and delayed its job until that lease ends, or it has sent the request.
  const putOff = () => queues.shards[0].all.retries.getJobState(retryJob(target, due, 0).opts.jobId);
  await expect
    .poll(async () => receiver.received.length > 1 || (await putOff()) === 'delayed', SOON)
    .toBe(true);
  expect(receiver.received).toHaveLength(1);
  open();
  await expect.poll(async () => (await deliveryOf(target))?.status, RESCUED).toBe('succeeded');
  expect((await deliveryOf(target))?.attempts).toHaveLength(1);
  expect(receiver.received).toHaveLength(1);
});
