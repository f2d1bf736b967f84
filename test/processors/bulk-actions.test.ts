// Steps of a bulk action, one by one and with nothing else running: a task is changed once although steps are killed,
// repeated or concurrent; nothing is changed after a cancellation or a revocation; one bad task does not stop the others.
import { describe, expect, it } from 'vitest';
import { stepBulkAction } from '../../src/processors/bulk/bulk-actions.ts';
import {
  BULK_STEP,
  type BulkAction,
  restAfterStep,
  type Selection,
  type TaskAction,
} from '../../src/state/bulk/bulk-action.ts';
import { endedRun } from '../../src/state/runs/run.ts';
import {
  BULK_ACTIONS,
  createWrites,
  endWrites,
  loadBulkAction,
  loadFailures,
  oldBulkActions,
} from '../../src/store/bulk/bulk-actions.ts';
import { type ApiKey, apiKeyWrites, newApiKey, revokeApiKey } from '../../src/store/identity/api-keys.ts';
import { commit } from '../../src/store/redis/commit.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { newId } from '../../src/store/redis/ids.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { interceptCommits } from '../support/commits.ts';
import {
  accept,
  addTask,
  addWorker,
  freshOrg,
  historyOf,
  offerTo,
  openTestDb,
  type TestDb,
  taskOf,
  workThrough,
} from '../support/db.ts';
import { deleteAllJobs, openQueues, openSweeper, runRelay, withClockAhead } from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';

const db = await openTestDb();
const CANCEL: TaskAction = { action: 'cancel', reason: null };
const ALL: Selection = { filter: { domain: ['security'] } };

async function addKey(store: Db, org: string, pools = ['*']): Promise<ApiKey> {
  const given = { name: 'lead', scopes: ['*'], pools, expires_at: null };
  const { key } = newApiKey(org, given, store.clock.now());
  await commit(store.redis, apiKeyWrites(store, key));
  return key;
}

async function addBulkAction(
  store: Db,
  org_id: string,
  task_action: TaskAction,
  selection: Selection = ALL,
  key?: ApiKey,
): Promise<BulkAction> {
  const { key_id, pools } = key ?? (await addKey(store, org_id));
  const now = store.clock.now();
  const counts = { total: null, matched: 0, done: 0, failed: 0, skipped: 0 };
  const bulk: BulkAction = {
    ...{ bulk_action_id: newId(now), org_id, version: 1, action: task_action.action, status: 'pending' },
    ...{ reason: null, pools, cursor: null, ...counts, created_by: `api_key:${key_id}` },
    ...{ created_at: now, updated_at: now, finished_at: null },
  };
  const order = { task_action, selection, authority: { kind: 'api_key', key_id } as const };
  if (!(await commit(store.redis, createWrites(store, bulk, order, await oldBulkActions(store, org_id)))))
    throw new Error('too many are running');
  return bulk;
}

const addTasks = async (org: string, count: number, store = db) => {
  const ids: string[] = [];
  for (let at = 0; at < count; at += 1) ids.push((await addTask(store, org)).task_id);
  return ids;
};
const step = (bulk: BulkAction, store = db) => stepBulkAction(store, bulk.org_id, bulk.bulk_action_id);
const stateOf = async ({ org_id, bulk_action_id }: BulkAction): Promise<BulkAction> => {
  const bulk = await loadBulkAction(db, org_id, bulk_action_id);
  if (bulk === null) throw new Error('no bulk action');
  return bulk;
};
const statusOf = async (org: string, id: string) => (await taskOf(db, org, id)).status;

/** The store with `act` run before the commit of the given number, counted from 1. */
function beforeCommit(number: number, act: () => Promise<unknown>): TestDb {
  let commits = 0;
  return interceptCommits(db, async (commitIt) => {
    commits += 1;
    if (commits === number) await act();
    return commitIt();
  });
}

describe('a bulk action', () => {
  it('changes each task once, although steps die before or after a commit and run several at once', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org, { capacity: 30 });
    const ids = await addTasks(org, 30);
    for (const id of ids)
      await accept(db, await offerTo(db, await taskOf(db, org, id), [worker_id]), worker_id);
    const bulk = await addBulkAction(db, org, { action: 'requeue', reason: 'shift ends' });
    let commits = 0;
    const dying = interceptCommits(db, async (commitIt) => {
      commits += 1;
      if (commits % 5 === 0) throw new Error('Connection is closed.');
      const answer = await commitIt();
      if (commits % 7 === 0) throw new Error('Connection is closed.');
      return answer;
    });
    for (let round = 0; round < 100 && (await stateOf(bulk)).status !== 'completed'; round += 1)
      await Promise.allSettled([1, 2].map(() => step(bulk, dying)));
    expect(commits).toBeGreaterThan(31);
    expect(await stateOf(bulk)).toMatchObject({
      status: 'completed',
      total: 30,
      done: 30,
      failed: 0,
      skipped: 0,
    });
    for (const id of ids) {
      const types = (await historyOf(db, { org_id: org, task_id: id })).map((one) => one.type);
      expect(types.filter((type) => type === 'task.requeued')).toHaveLength(1);
    }
  });

  it('takes bounded steps, in which org and rate decide about the rest', async () => {
    const org = freshOrg(db);
    await addTasks(org, BULK_STEP + 1);
    const bulk = await addBulkAction(db, org, CANCEL);
    expect(await step(bulk)).toBe(restAfterStep(BULK_STEP, 1));
    expect(await stateOf(bulk)).toMatchObject({ status: 'running', done: BULK_STEP, total: null });
    expect(await step(bulk)).toBeNull();
    expect(await stateOf(bulk)).toMatchObject({
      status: 'completed',
      done: BULK_STEP + 1,
      total: BULK_STEP + 1,
    });
    expect(restAfterStep(50, 1)).toBe(500);
    expect(restAfterStep(50, 5)).toBe(2500);
  });

  it('changes nothing after a cancellation in the middle of a step', async () => {
    const org = freshOrg(db);
    const ids = await addTasks(org, 5);
    const bulk = await addBulkAction(db, org, CANCEL);
    const cancel = async () => {
      const before = await stateOf(bulk);
      const after = endedRun(before, 'cancelled', null, db.clock.now());
      expect(await commit(db.redis, endWrites(db, before, after))).toBe(true);
    };
    expect(await step(bulk, beforeCommit(3, cancel))).not.toBeNull();
    expect(await step(bulk)).toBeNull();
    expect(await stateOf(bulk)).toMatchObject({ status: 'cancelled', done: 2 });
    const statuses = await Promise.all(ids.map((id) => statusOf(org, id)));
    expect(statuses).toEqual(['cancelled', 'cancelled', 'queued', 'queued', 'queued']);
  });

  it('changes nothing after the revocation of its key in the middle of a step', async () => {
    const org = freshOrg(db);
    const ids = await addTasks(org, 3);
    const key = await addKey(db, org);
    const bulk = await addBulkAction(db, org, CANCEL, ALL, key);
    const revoke = async () => expect(await commit(db.redis, revokeApiKey(db, key))).toBe(true);
    expect(await step(bulk, beforeCommit(2, revoke))).not.toBeNull();
    expect(await step(bulk)).toBeNull();
    expect(await stateOf(bulk)).toMatchObject({ status: 'failed', reason: 'credential_revoked', done: 1 });
    expect(await Promise.all(ids.map((id) => statusOf(org, id)))).toEqual(['cancelled', 'queued', 'queued']);
  });

  it('pauses while its org is suspended, also in the middle of a step', async () => {
    const org = freshOrg(db);
    const ids = await addTasks(org, 3);
    const bulk = await addBulkAction(db, org, CANCEL);
    const { suspended } = orgKeysOf(db.prefix, org);
    await step(
      bulk,
      beforeCommit(2, () => db.redis.set(suspended, 1)),
    );
    expect(await step(bulk)).toBeGreaterThan(1000);
    expect(await stateOf(bulk)).toMatchObject({ status: 'running', done: 1 });
    await db.redis.del(suspended);
    expect(await step(bulk)).toBeNull();
    expect(await Promise.all(ids.map((id) => statusOf(org, id)))).toEqual(Array(3).fill('cancelled'));
  });

  it('goes on after a task that cannot be read', async () => {
    const org = freshOrg(db);
    const ids = await addTasks(org, 3);
    await db.redis.hset(orgKeysOf(db.prefix, org).task(ids[1] ?? ''), 's', 'nonsense');
    const bulk = await addBulkAction(db, org, CANCEL, { task_ids: ids });
    expect(await step(bulk)).toBeNull();
    expect(await stateOf(bulk)).toMatchObject({ status: 'completed', done: 2, failed: 1 });
    expect(await loadFailures(db, bulk)).toMatchObject([{ task_id: ids[1], code: 'internal_error' }]);
  });

  it('lists 100 failures and counts all', async () => {
    const org = freshOrg(db);
    const ids = Array.from({ length: 120 }, () => newId(db.clock.now()));
    const bulk = await addBulkAction(db, org, CANCEL, { task_ids: ids });
    for (let done = 0; done < ids.length; done += BULK_STEP) await step(bulk);
    expect(await stateOf(bulk)).toMatchObject({ status: 'completed', matched: 120, failed: 120 });
    expect((await loadFailures(db, bulk)).map((one) => one.task_id)).toEqual(ids.slice(0, 100));
  });

  it('approves no submission that is newer than itself', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org, { capacity: 2 });
    const manual = { review: { mode: 'manual' } } as const;
    const submitted = async () => {
      const { task_id } = await workThrough(
        db,
        await offerTo(db, await addTask(db, org, manual), [worker_id]),
        worker_id,
      );
      return task_id;
    };
    const open = await addTask(db, org, manual);
    const early = await submitted();
    const task_ids = [early, open.task_id];
    const bulk = await addBulkAction(
      withClockAhead(db, 1),
      org,
      { action: 'approve', feedback: null, rating: null },
      { task_ids },
    );
    await expect.poll(() => db.clock.now()).toBeGreaterThan(bulk.created_at);
    await workThrough(db, await offerTo(db, open, [worker_id]), worker_id);
    expect(await step(bulk)).toBeNull();
    expect(await loadFailures(db, bulk)).toMatchObject([
      { task_id: open.task_id, code: 'invalid_transition' },
    ]);
    expect(await statusOf(org, early)).toBe('completed');
    expect(await statusOf(org, open.task_id)).toBe('submitted');
  });

  it('gets a new job when its job was lost', async () => {
    const store = { ...db, prefix: freshPrefix() };
    const queues = openQueues(store);
    await runRelay(store, queues);
    const org = freshOrg(store);
    const { bulk_action_id } = await addBulkAction(store, org, CANCEL);
    const jobs = async () =>
      (await queues.shards[0].all.bulk.getJobs(['waiting'])).map(({ data }) => data.bulk_action_id);
    await expect.poll(jobs).toEqual([bulk_action_id]);
    await deleteAllJobs(store);
    const sweeper = openSweeper(withClockAhead(store, 10_000), queues);
    expect(await sweeper.sweep()).toBe(1);
    expect(await sweeper.sweep()).toBe(0);
    expect(await jobs()).toEqual([bulk_action_id]);
  });

  it('removes the oldest of those that have ended', async () => {
    const org = freshOrg(db);
    const key = await addKey(db, org);
    const first = await addBulkAction(db, org, CANCEL, ALL, key);
    for (let count = 0; count < 101; count += 1) {
      const bulk = await addBulkAction(db, org, CANCEL, ALL, key);
      const after = endedRun(bulk, 'completed', null, db.clock.now());
      await commit(db.redis, endWrites(db, bulk, after));
    }
    const keys = orgKeysOf(db.prefix, org);
    const ids = await db.redis.zrange(keys.index(BULK_ACTIONS), 0, '-1');
    // The first still runs.
    expect(ids).toHaveLength(101);
    expect(ids[0]).toBe(first.bulk_action_id);
    const last = ids.at(-1) ?? '';
    expect(await db.redis.ttl(keys.bulkAction(last))).toBeGreaterThan(29 * 24 * 3600);
    expect(await db.redis.ttl(keys.bulkAction(ids[0] ?? ''))).toBe(-1);
  });
});
