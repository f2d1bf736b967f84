// Steps of a run that stops pending deliveries, one by one and with nothing else running: each delivery is stopped and counted
// once although steps are repeated, concurrent or killed; what waits for a stopped delivery goes on.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { stepReplay } from '../../../src/processors/webhooks/replays.ts';
import type { OutboxEntry } from '../../../src/state/outbox.ts';
import { EVENT_TYPES } from '../../../src/state/tasks/lifecycle.ts';
import type { Endpoint } from '../../../src/state/webhooks/endpoint.ts';
import type { DeliveryStop } from '../../../src/state/webhooks/replay.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import type { Db } from '../../../src/store/redis/connection.ts';
import { newId } from '../../../src/store/redis/ids.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { loadDeliveries } from '../../../src/store/webhooks/deliveries.ts';
import { leaseDelivery } from '../../../src/store/webhooks/delivery-lease.ts';
import { type DeliveryTarget, fieldOf, pendingMember } from '../../../src/store/webhooks/delivery-target.ts';
import { endpointWrites } from '../../../src/store/webhooks/endpoints.ts';
import { enqueueEndpointDeliveries } from '../../../src/store/webhooks/fan-out.ts';
import { loadReplay, startWrites } from '../../../src/store/webhooks/replays.ts';
import { interceptCommits } from '../../support/commits.ts';
import { addTask, addWorker, declineAll, freshOrg, historyOf, openTestDb } from '../../support/db.ts';

const db = await openTestDb();

async function addEndpoint(org_id: string): Promise<Endpoint> {
  const now = db.clock.now();
  const endpoint: Endpoint = {
    ...{ endpoint_id: newId(now), org_id, version: 1, url: 'https://receiver.example/', description: '' },
    ...{
      events: [...EVENT_TYPES],
      pools: ['*'],
      enabled: true,
      disabled: null,
      ordering: 'per_task' as const,
    },
    ...{ signature: 'v1' as const, secrets: [], public_key: null, headers: null },
    ...{ retry_policy: { max_retries: 0, backoff_seconds: 1 }, created_at: 0, updated_at: 0 },
  };
  expect(await commit(db.redis, endpointWrites(db, null, endpoint))).toBe(true);
  return endpoint;
}

async function beginStop({ org_id, endpoint_id }: Endpoint, until?: number): Promise<DeliveryStop> {
  const now = db.clock.now();
  const stop: DeliveryStop = {
    ...{ replay_id: newId(now), org_id, endpoint_id: null, version: 1, status: 'running', reason: null },
    stops: { callback_url: null, endpoint_id, pools: ['*'] },
    ...{ busy: 0, since: 0, until: until ?? now + 1, reached: 0, cursor: null, walked: false },
    ...{ examined: 0, sent: 0, succeeded: 0, failed: 0, created_by: 'system' },
    ...{ created_at: now, updated_at: now, finished_at: null },
  };
  expect(await commit(db.redis, startWrites(db, stop, []))).toBe(true);
  return stop;
}

/** Enqueues all events so far to the endpoints of the org. */
async function enqueue(org: string): Promise<DeliveryTarget[]> {
  const entries = await db.redis.xrange(orgKeysOf(db.prefix, org).outbox, '-', '+');
  const own = entries
    .map(([, [, text = '']]) => JSON.parse(text) as OutboxEntry)
    .filter((entry) => entry.org_id === org);
  return enqueueEndpointDeliveries(db, own);
}

async function setUp(tasks: number) {
  const org = freshOrg(db);
  const endpoint = await addEndpoint(org);
  for (let at = 0; at < tasks; at += 1) await addTask(db, org);
  const targets = await enqueue(org);
  return { org, endpoint, targets };
}

const stateOf = ({ org_id, replay_id }: DeliveryStop) => loadReplay(db, org_id, replay_id);
async function stoppedOf(targets: readonly DeliveryTarget[]): Promise<DeliveryTarget[]> {
  const found: DeliveryTarget[] = [];
  for (const target of targets) {
    const delivery = (await loadDeliveries(db, target.org_id, target.task_id)).get(fieldOf(target));
    if (delivery?.status === 'stopped') found.push(target);
  }
  return found;
}
/** The store, where every second commit ends the process before or after it. */
function dying(round: number): Db {
  let commits = 0;
  return interceptCommits(db, async (commitIt) => {
    commits += 1;
    const dies = commits === 2;
    if (dies && round % 2 === 0) throw new Error('killed');
    const done = await commitIt();
    if (dies) throw new Error('killed');
    return done;
  });
}

it('counts every delivery once, although each step runs several times at once', async () => {
  const { org, endpoint, targets } = await setUp(40);
  const stop = await beginStop(endpoint);
  for (let round = 0; round < 60 && (await stateOf(stop))?.status === 'running'; round += 1)
    await Promise.all([1, 2, 3].map(() => stepReplay(db, org, stop.replay_id)));
  expect(await stateOf(stop)).toMatchObject({ status: 'completed', sent: targets.length });
  expect(await stoppedOf(targets)).toHaveLength(targets.length);
  const keys = orgKeysOf(db.prefix, org);
  const members = targets.map(pendingMember);
  expect((await db.redis.zmscore(keys.pendingDeliveries, ...members)).every((one) => one === null)).toBe(
    true,
  );
  expect(await db.redis.exists(keys.replaying)).toBe(0);
});

it('that dies before or after a commit continues where it was', async () => {
  const { org, endpoint, targets } = await setUp(30);
  const stop = await beginStop(endpoint);
  for (let round = 0; round < 60 && (await stateOf(stop))?.status === 'running'; round += 1)
    await stepReplay(dying(round), org, stop.replay_id).catch((error: Error) =>
      expect(error.message).toBe('killed'),
    );
  expect(await stateOf(stop)).toMatchObject({ status: 'completed', sent: targets.length });
  expect(await stoppedOf(targets)).toHaveLength(targets.length);
});

it('makes an event due that waits for a stopped one and is not of the period', async () => {
  const { org, endpoint } = await setUp(0);
  for (const worker_id of ['a', 'b']) await addWorker(db, org, { worker_id });
  const task = await addTask(db, org);
  await sleep(5);
  await declineAll(db, task, ['a', 'b']);
  const targets = [...new Map((await enqueue(org)).map((one) => [pendingMember(one), one])).values()];
  const history = await historyOf(db, task);
  const until = Date.parse(history[2]?.at ?? '');
  expect(Date.parse(history[1]?.at ?? '')).toBeLessThan(until);
  const third = targets.find((one) => one.sequence === 3) as DeliveryTarget;
  const order = { inOrder: true, blockMs: 3600_000 };
  expect(await leaseDelivery(db, third, 1000, order)).toBeNull();
  const { pendingDeliveries } = orgKeysOf(db.prefix, org);
  const dueAt = async () => Number(await db.redis.zscore(pendingDeliveries, pendingMember(third)));
  expect(await dueAt()).toBeGreaterThan(db.clock.now() + 1000_000);

  const stop = await beginStop(endpoint, until);
  while ((await stateOf(stop))?.status === 'running') await stepReplay(db, org, stop.replay_id);
  expect((await stoppedOf(targets)).map((one) => one.sequence)).toEqual([1, 2]);
  expect(await dueAt()).toBeLessThanOrEqual(db.clock.now());
  expect(await leaseDelivery(db, third, 1000, order)).toMatchObject({ inOrder: true });
});
