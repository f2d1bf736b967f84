// Steps of a replay, one by one and with nothing else running: an event is sent once although steps are killed, repeated
// or concurrent; a replay keeps within its lead over the receiver and is not lost with its job.
import { describe, expect, it } from 'vitest';
import { stepReplay } from '../../../src/processors/webhooks/replays.ts';
import type { OutboxEntry } from '../../../src/state/outbox.ts';
import { REST_WHILE_SUSPENDED } from '../../../src/state/runs/run.ts';
import { EVENT_TYPES } from '../../../src/state/tasks/lifecycle.ts';
import type { Endpoint } from '../../../src/state/webhooks/endpoint.ts';
import { REPLAY_AHEAD, REPLAY_STEP, type Replay, restAfter } from '../../../src/state/webhooks/replay.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import type { Db } from '../../../src/store/redis/connection.ts';
import { newId } from '../../../src/store/redis/ids.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { recordDelivery } from '../../../src/store/webhooks/deliveries.ts';
import { leaseDelivery } from '../../../src/store/webhooks/delivery-lease.ts';
import {
  type DeliveryTarget,
  pendingMember,
  readPendingMember,
} from '../../../src/store/webhooks/delivery-target.ts';
import { endpointWrites } from '../../../src/store/webhooks/endpoints.ts';
import { enqueueEndpointDeliveries } from '../../../src/store/webhooks/fan-out.ts';
import { walkOn } from '../../../src/store/webhooks/replay-walk.ts';
import { loadReplay } from '../../../src/store/webhooks/replays.ts';
import { interceptCommits } from '../../support/commits.ts';
import { addTask, addWorker, declineAll, freshOrg, historyOf, openTestDb } from '../../support/db.ts';
import { beginReplay, giveUpAll } from '../../support/endpoints.ts';
import {
  deleteAllJobs,
  openQueues,
  openSweeper,
  outboxLength,
  runRelay,
  withClockAhead,
} from '../../support/processors.ts';
import { freshPrefix } from '../../support/redis.ts';

const db = await openTestDb();

async function addEndpoint(store: Db, org_id: string): Promise<Endpoint> {
  const now = store.clock.now();
  const endpoint: Endpoint = {
    endpoint_id: newId(now),
    org_id,
    version: 1,
    url: 'https://receiver.example/',
    description: '',
    events: [...EVENT_TYPES],
    pools: ['*'],
    enabled: true,
    disabled: null,
    signature: 'v1',
    secrets: [],
    public_key: null,
    headers: null,
    retry_policy: { max_retries: 0, backoff_seconds: 1 },
    created_at: now,
    updated_at: now,
  };
  expect(await commit(store.redis, endpointWrites(store, null, endpoint))).toBe(true);
  return endpoint;
}

/** An org with so many tasks of two events each, and a new replay of them. */
async function setUp(tasks: number, store = db) {
  const org = freshOrg(store);
  for (let at = 0; at < tasks; at += 20)
    await Promise.all(Array.from({ length: Math.min(20, tasks - at) }, () => addTask(store, org)));
  return { org, replay: await beginReplay(store, await addEndpoint(store, org)) };
}

const stateOf = (replay: Replay) => loadReplay(db, replay.org_id, replay.replay_id);

/** The deliveries that the replay has sent so far, by task and sequence, repeats included. */
async function sentBy(replay: Replay): Promise<string[]> {
  const entries = await db.redis.xrange(orgKeysOf(db.prefix, replay.org_id).outbox, '-', '+');
  return entries
    .map(([, [, text = '']]) => JSON.parse(text) as { kind: string; id_suffix?: string } & DeliveryTarget)
    .filter((one) => one.kind === 'delivery' && one.id_suffix === `replay-${replay.replay_id}`)
    .map((one) => `${one.task_id} ${one.sequence}`);
}

/** Settles all pending deliveries to the replay's endpoint. */
async function deliver({ org_id, endpoint_id }: Replay): Promise<void> {
  const members = await db.redis.zrange(orgKeysOf(db.prefix, org_id).pendingDeliveries, 0, '-1');
  for (const target of members.map(readPendingMember)) {
    if (target.endpoint_id !== endpoint_id) continue;
    const leased = await leaseDelivery(db, target, 1000);
    if (leased === null || 'dueAt' in leased) throw new Error('not due');
    const timings = { queue: 0, dns: 0, connect: 0, tls: 0, first_byte: 0, body: 0 };
    const answer = { status: 204, error: null, error_class: null, address: null, body: '', headers: {} };
    const attempt = { at: db.clock.now(), ms: 1, next_attempt_at: null, timings, ...answer };
    await recordDelivery(db, target, {
      score: leased.score,
      delivery: { status: 'succeeded', attempts: [...leased.delivery.attempts, attempt] },
      ...{
        nextAt: null,
        stopsCallback: false,
        eventAt: Date.parse(leased.subject?.event.at ?? ''),
        failingLimit: 1000,
      },
    });
  }
}

/** Outbox entries that are not relayed yet. Other orgs of the test may share the partition. */
async function outboxOf(org: string): Promise<OutboxEntry[]> {
  return (await db.redis.xrange(orgKeysOf(db.prefix, org).outbox, '-', '+'))
    .map(([, [, text = '']]) => JSON.parse(text) as OutboxEntry)
    .filter((entry) => entry.org_id === org);
}

/** A step that has read and waits before its commit. */
async function heldStep({ org_id, replay_id }: Replay): Promise<{ commit(): Promise<number | null> }> {
  let release = () => {};
  let done: Promise<number | null> = Promise.resolve(null);
  await new Promise<void>((looked) => {
    const store = interceptCommits(db, async (commitIt) => {
      looked();
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return commitIt();
    });
    done = stepReplay(store, org_id, replay_id);
  });
  return {
    commit() {
      release();
      return done;
    },
  };
}

describe('a replay', () => {
  it('sends every event once, although each step runs several times at once', async () => {
    const { org, replay } = await setUp(90);
    for (let round = 0; round < 60; round += 1) {
      await Promise.all([1, 2, 3].map(() => stepReplay(db, org, replay.replay_id)));
      await deliver(replay);
      if ((await stateOf(replay))?.status === 'completed') break;
    }
    const sent = await sentBy(replay);
    expect([sent.length, new Set(sent).size]).toEqual([180, 180]);
    expect(await stateOf(replay)).toMatchObject({
      ...{ status: 'completed', examined: 180, sent: 180, succeeded: 180, failed: 0 },
    });
    const keys = orgKeysOf(db.prefix, org);
    expect(await db.redis.zrange(keys.replays, 0, '-1')).toEqual([]);
    expect(await db.redis.exists(keys.replaying)).toBe(0);
  });

  it('that dies before or after the commit of a step continues where it was', async () => {
    const { org, replay } = await setUp(60);
    const dying = (before: boolean) =>
      interceptCommits(db, async (commitIt) => {
        if (!before) await commitIt();
        throw new Error('killed');
      });
    for (let round = 0; (await stateOf(replay))?.status === 'running' && round < 40; round += 1) {
      await stepReplay(dying(round % 2 === 0), org, replay.replay_id).catch((error: Error) =>
        expect(error.message).toBe('killed'),
      );
      await deliver(replay);
    }
    const sent = await sentBy(replay);
    expect([sent.length, new Set(sent).size]).toEqual([120, 120]);
    expect(await stateOf(replay)).toMatchObject({ status: 'completed', sent: 120, succeeded: 120 });
  });

  it('keeps within its lead over the receiver and shares the rate', async () => {
    const { org, replay } = await setUp(90);
    const rests: (number | null)[] = [];
    for (let round = 0; round < 6; round += 1) rests.push(await stepReplay(db, org, replay.replay_id));
    expect((await sentBy(replay)).length).toBe(REPLAY_AHEAD);
    expect(rests.slice(0, 2)).toEqual([restAfter(REPLAY_STEP, false, 1), restAfter(REPLAY_STEP, false, 1)]);
    await beginReplay(db, await addEndpoint(db, org));
    await deliver(replay);
    expect(await stepReplay(db, org, replay.replay_id)).toBe(restAfter(REPLAY_STEP, false, 2));
    expect(restAfter(REPLAY_STEP, false, 2)).toBe(1000);
  });

  it('pauses while its org is suspended, also in the middle of a step', async () => {
    const { org, replay } = await setUp(1);
    const { suspended } = orgKeysOf(db.prefix, org);
    const begun = await heldStep(replay);
    await db.redis.set(suspended, 1);
    expect(await begun.commit()).toBeLessThan(1000);
    expect(await stepReplay(db, org, replay.replay_id)).toBe(REST_WHILE_SUSPENDED);
    expect(await sentBy(replay)).toEqual([]);
    expect(await stateOf(replay)).toMatchObject({ status: 'running', sent: 0 });
    await db.redis.del(suspended);
    await stepReplay(db, org, replay.replay_id);
    expect(await sentBy(replay)).toHaveLength(2);
  });

  it('does not go back when a delayed step commits', async () => {
    const { org, replay } = await setUp(90);
    for (let round = 0; round < 3; round += 1) await stepReplay(db, org, replay.replay_id);
    const late = await heldStep(replay);
    await deliver(replay);
    await stepReplay(db, org, replay.replay_id);
    await deliver(replay);
    const before = await stateOf(replay);
    await late.commit();
    expect(await stateOf(replay)).toEqual(before);
  });

  it('skips deliveries that were leased after it read them', async () => {
    const org = freshOrg(db);
    const endpoint = await addEndpoint(db, org);
    await addTask(db, org);
    const replay = await beginReplay(db, endpoint);
    const step = await heldStep(replay);
    const { pendingDeliveries: owedKey } = orgKeysOf(db.prefix, org);
    const entries = await outboxOf(org);
    // The relay runs only now.
    const [target] = await enqueueEndpointDeliveries(db, entries.slice(0, 1));
    if (target === undefined) throw new Error('no delivery is pending');
    const leased = await leaseDelivery(db, target, 60_000);
    await step.commit();
    expect(await sentBy(replay)).toEqual([]);
    const lease = leased !== null && 'score' in leased ? leased.score : null;
    expect(Number(await db.redis.zscore(owedKey, pendingMember(target)))).toBe(lease);
    await stepReplay(db, org, replay.replay_id);
    expect(await stateOf(replay)).toMatchObject({ examined: 2, sent: 0 });
  });

  it('of failed deliveries takes the events of a task in order, also those of the same time', async () => {
    const org = freshOrg(db);
    const endpoint = await addEndpoint(db, org);
    for (const worker_id of ['a', 'b', 'c']) await addWorker(db, org, { worker_id });
    const task = await declineAll(db, await addTask(db, org), ['a', 'b', 'c']);
    const history = await historyOf(db, task);
    const [nine, ten] = [history[8], history[9]];
    expect(nine?.at).toBe(ten?.at);
    await enqueueEndpointDeliveries(db, await outboxOf(org));
    await giveUpAll(db, endpoint);
    let replay = await beginReplay(db, endpoint, 'failed');
    const found: number[] = [];
    for (let walked = false; !walked; ) {
      const walk = await walkOn(db, replay, endpoint, 1);
      found.push(...walk.found.map((one) => one.target.sequence));
      replay = { ...replay, cursor: walk.cursor };
      walked = walk.walked;
    }
    expect(found).toEqual(history.map((one) => one.sequence));
  });

  it('whose job was lost is resumed by the sweeper', async () => {
    const store: Db = { ...db, prefix: freshPrefix() };
    const org = freshOrg(store);
    const { replay_id } = await beginReplay(store, await addEndpoint(store, org));
    const queues = openQueues(store);
    await runRelay(store, queues);
    await expect.poll(() => outboxLength(store), { timeout: 10_000 }).toBe(0);
    await deleteAllJobs(store);
    const sweeper = openSweeper(withClockAhead(store, 10_000), queues);
    expect([await sweeper.sweep(), await sweeper.sweep()]).toEqual([1, 0]);
    const [job] = await queues.shards[0].all.lifecycle.getJobs(['waiting']);
    expect(job?.data).toMatchObject({ org_id: org, replay_id });
  });
});
