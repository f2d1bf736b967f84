// Ordered delivery: whatever fails, no event is first sent before the earlier events are settled or have been failing
// for longer than the limit.
import { describe, expect, it } from 'vitest';
import type { OutboxEntry } from '../../../src/state/outbox.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import type { Endpoint } from '../../../src/state/webhooks/endpoint.ts';
import { newWebhookSecret, orgWrites, webhookSecretContext } from '../../../src/store/identity/orgs.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { loadDeliveries } from '../../../src/store/webhooks/deliveries.ts';
import { deliveriesIndex, fieldOf } from '../../../src/store/webhooks/delivery-target.ts';
import { enqueueEndpointDeliveries, resend } from '../../../src/store/webhooks/fan-out.ts';
import { loadReplay } from '../../../src/store/webhooks/replays.ts';
import { type ReceivedRequest, startCallbackReceiver } from '../../support/callback-receiver.ts';
import { addTask, addWorker, applyCommands, declineAll, freshOrg, openTestDb } from '../../support/db.ts';
import { addEndpoint, beginReplay, changeEndpoint, giveUpAll } from '../../support/endpoints.ts';
import {
  openQueues,
  outboxLength,
  runProcessors,
  runProcessorsOfFile,
  runRelay,
  sealer,
} from '../../support/processors.ts';

const db = await openTestDb();
const SOON = { timeout: 25_000, interval: 20 };
// Two worker processes, since the order must not depend on the memory of one.
await runProcessorsOfFile(db);
await runProcessorsOfFile(db);
/** How long an event may delay later ones, ms. */
const HOLD = 300;
const hasty = await openTestDb();
await runProcessorsOfFile(hasty, { sweepEvery: 200, orderBlockMs: HOLD });

/** Retries follow sooner than the API allows, so that the tests are over sooner. */
const retry_policy = { max_retries: 6, backoff_seconds: 0.2 };
const patient = (url: string, change: Partial<Endpoint> = {}, store = db) =>
  addEndpoint(store, freshOrg(store), url, { retry_policy, ordering: 'per_task', ...change });

/** A task that is created and queued, matched, and cancelled: four events in three commits. */
async function live(org: string, handoff?: Parameters<typeof addTask>[2], store = db): Promise<Task> {
  const { worker_id } = await addWorker(store, org, { availability: 'offline' });
  const task = await addTask(store, org, handoff);
  await applyCommands(
    store,
    task,
    { name: 'match', worker_ids: [worker_id] },
    { name: 'cancel', reason: 'mistake' },
  );
  return task;
}

const statusesOf = async (task: Task, endpoint_id?: string, store = db) => {
  const all = await loadDeliveries(store, task.org_id, task.task_id);
  return [1, 2, 3, 4].map((sequence) => all.get(fieldOf({ sequence, endpoint_id }))?.status);
};
const allSucceed = (task: Task, endpoint_id?: string) =>
  expect
    .poll(() => statusesOf(task, endpoint_id), SOON)
    .toEqual(['succeeded', 'succeeded', 'succeeded', 'succeeded']);

/** Sequences in the order of their first arrival. */
const firsts = (received: ReceivedRequest[]) => [...new Set(received.map((one) => one.sequence))];

describe('ordered delivery', () => {
  it('an endpoint gets each event after the earlier ones were settled, also when some fail', async () => {
    const receiver = await startCallbackReceiver(({ sequence }, nth) => ({
      status: nth === 1 && sequence % 2 === 1 ? 500 : 204,
    }));
    const endpoint = await patient(receiver.url);
    const task = await live(endpoint.org_id);
    await allSucceed(task, endpoint.endpoint_id);
    expect(receiver.received.map((one) => one.sequence)).toEqual([1, 1, 2, 3, 3, 4]);
    expect(await db.redis.exists(orgKeysOf(db.prefix, task.org_id).ordering(task.task_id))).toBe(0);
  });

  it('so does a callback URL, also after the task is final', async () => {
    const org = freshOrg(db);
    const now = db.clock.now();
    const sealed = sealer.seal(newWebhookSecret(), webhookSecretContext(org));
    const webhook_secrets = [{ sealed, created_at: now, expires_at: null }];
    const record = {
      org_id: org,
      version: 1,
      name: 'Org',
      webhook_secrets,
      created_at: now,
      updated_at: now,
    };
    await commit(db.redis, orgWrites(db, 0, record));
    const receiver = await startCallbackReceiver(({ sequence }, nth) => ({
      status: nth === 1 && sequence === 3 ? 503 : 204,
    }));
    const callback_url = receiver.url;
    const task = await live(org, { handoff: { callback_url, retry_policy, ordering: 'per_task' } });
    await allSucceed(task);
    expect(receiver.received.map((one) => one.sequence)).toEqual([1, 2, 3, 3, 4]);
  });

  it('many tasks at once keep their order while every seventh attempt fails', async () => {
    let count = 0;
    const receiver = await startCallbackReceiver(() => {
      count += 1;
      return { status: count % 7 === 0 ? 500 : 204 };
    });
    const endpoint = await patient(receiver.url);
    const tasks = await Promise.all(Array.from({ length: 8 }, () => live(endpoint.org_id)));
    for (const task of tasks) await allSucceed(task, endpoint.endpoint_id);
    for (const { task_id } of tasks) {
      const mine = receiver.received.filter((one) => JSON.parse(one.body).data.task_id === task_id);
      expect(firsts(mine)).toEqual([1, 2, 3, 4]);
      // No attempt of a later event comes before the last attempt of an earlier one.
      expect(mine.map((one) => one.sequence)).toEqual(mine.map((one) => one.sequence).sort());
    }
  });

  it('an event that keeps failing delays the next for the limit at most', async () => {
    const receiver = await startCallbackReceiver(({ sequence }) => ({ status: sequence === 1 ? 500 : 204 }));
    const endpoint = await patient(
      receiver.url,
      { retry_policy: { max_retries: 6, backoff_seconds: 1 } },
      hasty,
    );
    const task = await live(endpoint.org_id, {}, hasty);
    await expect.poll(() => firsts(receiver.received).length, SOON).toBe(4);
    expect(firsts(receiver.received)).toEqual([1, 2, 3, 4]);
    const [first] = receiver.received;
    const second = receiver.received.find((one) => one.sequence === 2);
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(HOLD - 50);
    expect((await statusesOf(task, endpoint.endpoint_id, hasty))[0]).toBe('pending');
    await changeEndpoint(hasty, endpoint, null);
  });

  it('an exhausted delivery releases the next at once', async () => {
    const receiver = await startCallbackReceiver(({ sequence }) => ({ status: sequence < 3 ? 500 : 204 }));
    const endpoint = await patient(receiver.url, { retry_policy: { max_retries: 0, backoff_seconds: 1 } });
    const task = await live(endpoint.org_id);
    await expect
      .poll(() => statusesOf(task, endpoint.endpoint_id), SOON)
      .toEqual(['exhausted', 'exhausted', 'succeeded', 'succeeded']);
    expect(receiver.received.map((one) => one.sequence)).toEqual([1, 2, 3, 4]);
  });

  it('replayed events arrive in order too, over all steps of the replay and also when some fail', async () => {
    const receiver = await startCallbackReceiver(({ sequence }, nth) => ({
      status: nth === 1 && sequence % 4 === 1 ? 500 : 204,
    }));
    // A replay looks at its deliveries every 500 ms; a failure counts only if it is not retried before.
    const own = await openTestDb();
    const endpoint = await patient(
      receiver.url,
      { retry_policy: { max_retries: 6, backoff_seconds: 1 } },
      own,
    );
    const { org_id, endpoint_id } = endpoint;
    const workers = ['a', 'b', 'c'];
    const tasks: Task[] = [];
    // Nothing runs the jobs yet, so nothing is offered or sent.
    const relay = await runRelay(own, openQueues(own));
    for (const worker_id of workers) await addWorker(own, org_id, { worker_id });
    for (let count = 0; count < 6; count += 1) {
      const task = await declineAll(own, await addTask(own, org_id), workers);
      tasks.push(await applyCommands(own, task, { name: 'cancel', reason: 'mistake' }));
    }
    await expect.poll(() => outboxLength(own), SOON).toBe(0);
    expect(await giveUpAll(own, endpoint)).toBe(72);
    await relay.close();
    await Promise.all([runProcessors(own), runProcessors(own)]);
    const { replay_id } = await beginReplay(own, endpoint, 'failed');
    const replay = () => loadReplay(own, org_id, replay_id);
    await expect.poll(async () => (await replay())?.status, SOON).toBe('completed');
    const succeeded = orgKeysOf(own.prefix, org_id).index(deliveriesIndex(endpoint_id, 'succeeded'));
    await expect.poll(() => own.redis.zcard(succeeded), SOON).toBe(72);
    for (const { task_id } of tasks) {
      const mine = receiver.received.filter((one) => JSON.parse(one.body).data.task_id === task_id);
      expect(mine.map((one) => one.sequence)).toEqual([1, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 9, 10, 11, 12]);
    }
    expect(await replay()).toMatchObject({ sent: 72, succeeded: 54, failed: 18 });
  });

  it('redelivered events arrive in order too', async () => {
    let isAgain = false;
    const receiver = await startCallbackReceiver(({ sequence }, nth) => ({
      status: isAgain && sequence === 1 && nth === 2 ? 500 : 204,
    }));
    const endpoint = await patient(receiver.url);
    const { org_id, endpoint_id } = endpoint;
    const task = await live(org_id);
    await allSucceed(task, endpoint_id);
    isAgain = true;
    const all = await loadDeliveries(db, org_id, task.task_id);
    for (const sequence of [1, 2, 3, 4]) {
      const target = { org_id, task_id: task.task_id, sequence, endpoint_id };
      const before = all.get(fieldOf(target)) ?? null;
      expect(await resend(db, target, before, Date.parse('2026-01-01'), 'again', null)).toBe('ok');
    }
    await expect.poll(() => receiver.received.length, SOON).toBe(9);
    await allSucceed(task, endpoint_id);
    expect(receiver.received.slice(4).map((one) => one.sequence)).toEqual([1, 1, 2, 3, 4]);
  });
});

it('waiting deliveries are released when ordering is switched off for the endpoint', async () => {
  const receiver = await startCallbackReceiver(({ sequence }) => ({ status: sequence === 1 ? 500 : 204 }));
  const endpoint = await patient(receiver.url, { retry_policy: { max_retries: 6, backoff_seconds: 3600 } });
  const { org_id, endpoint_id } = endpoint;
  const task = await live(org_id);
  const { ordering: turns, orderReleased } = orgKeysOf(db.prefix, org_id);
  // When the first failed, and three deliveries that wait.
  await expect.poll(() => db.redis.hlen(turns(task.task_id)), SOON).toBe(4);
  expect(receiver.received).toHaveLength(1);
  await changeEndpoint(db, endpoint, { ordering: 'none' });
  await expect
    .poll(() => statusesOf(task, endpoint_id), SOON)
    .toEqual(['pending', 'succeeded', 'succeeded', 'succeeded']);
  await expect.poll(() => db.redis.exists(orderReleased), SOON).toBe(0);
  expect(receiver.received).toHaveLength(4);
});

it('an outbox entry relayed before an earlier one enqueues the deliveries of both', async () => {
  const endpoint = await patient('http://127.0.0.1:9/', { enabled: true });
  const { org_id, endpoint_id } = endpoint;
  const later = { ...db, prefix: `${db.prefix}-unrelayed` };
  const task = await addTask(later, org_id);
  await commit(later.redis, {
    guards: [],
    writes: [
      ['ZADD', orgKeysOf(later.prefix, org_id).index('endpoints'), 0, endpoint_id],
      ['HSET', orgKeysOf(later.prefix, org_id).endpoint(endpoint_id), 'v', 1],
    ],
  });
  await db.redis.copy(
    orgKeysOf(db.prefix, org_id).endpoint(endpoint_id),
    orgKeysOf(later.prefix, org_id).endpoint(endpoint_id),
    'REPLACE',
  );
  const entry: OutboxEntry = {
    kind: 'task',
    org_id,
    task_id: task.task_id,
    version: 2,
    scheduled: [],
    cancelled: [],
    deliveries: [],
    events: ['matched'],
    first: 3,
    at: db.clock.now(),
    pool: null,
  };
  const sequences = (await enqueueEndpointDeliveries(later, [entry])).map((one) => one.sequence);
  expect(sequences).toEqual([1, 2, 3]);
  expect((await enqueueEndpointDeliveries(later, [entry])).map((one) => one.sequence)).toEqual([3]);
  await changeEndpoint(db, endpoint, null);
});
