// Matching in turns: what adds a job and what does not, orgs take turns, and no request is lost.
import { describe, expect, it } from 'vitest';
import { runMatchingTurn, TURN_BUDGET } from '../../src/processors/matching.ts';
import type { MatchingJob } from '../../src/queues/catalogue.ts';
import type { Queues } from '../../src/queues/queues.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import type { Worker } from '../../src/state/workers/worker.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { requestMatches, takeTurn } from '../../src/store/workers/match-requests.ts';
import {
  accept,
  addPool,
  addTask,
  addWorker,
  applyCommands,
  changeWorker,
  freshOrg,
  offerIdOf,
  offerTo,
  openTestDb,
  type TestDb,
  taskOf,
} from '../support/db.ts';
import {
  deleteAllJobs,
  openQueues,
  openSweeper,
  outboxLength,
  runProcessors,
  runProcessorsOfFile,
  runRelay,
  withClockAhead,
} from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';

const shared = await openTestDb();
const ownStore = (): TestDb => ({ ...shared, prefix: freshPrefix() });
const SOON = { timeout: 15_000 };
const emptied = (db: Db) => expect.poll(() => outboxLength(db), SOON).toBe(0);
const statusOf = (db: Db, task: Task) => taskOf(db, task.org_id, task.task_id).then((one) => one.status);

/** The turns that have a job, in the order in which those run. */
async function turnsOf(queues: Queues): Promise<MatchingJob[]> {
  const jobs = await queues.shards[0].all.lifecycle.getJobs(['waiting', 'prioritized'], 0, -1, true);
  return jobs.filter((job) => job.name === 'match').map((job) => job.data as MatchingJob);
}

/** Runs the job that is first in the queue, as a worker process does. */
async function runFirst(db: Db, queues: Queues): Promise<MatchingJob> {
  const [first] = await turnsOf(queues);
  if (first === undefined) throw new Error('no turn has a job');
  await queues.shards[0].all.lifecycle.remove(`match-${first.org_id}-${first.turn}`);
  await runMatchingTurn(db, queues, first);
  return first;
}

describe('a created task adds no matching job', () => {
  const cases: [string, (db: Db, org: string) => Promise<unknown>][] = [
    ['while the org has no worker', async () => undefined],
    ['while its workers are away', (db, org) => addWorker(db, org, { availability: 'away' })],
    ['while its workers are offline', (db, org) => addWorker(db, org, { availability: 'offline' })],
    [
      'while its workers are full',
      async (db, org) => {
        const { worker_id } = await addWorker(db, org, { capacity: 1 });
        await accept(db, await offerTo(db, await addTask(db, org), [worker_id]), worker_id);
      },
    ],
    ['while the ready workers are of other pools', (db, org) => addWorker(db, org, { pool_ids: ['other'] })],
  ];
  it.each(cases)('%s', async (_name, prepare) => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    await addPool(db, org);
    await addPool(db, org, { pool_id: 'other' });
    await prepare(db, org);
    const relay = await runRelay(db, queues);
    await emptied(db);
    // Finish the requests of the preparation itself.
    while ((await turnsOf(queues)).length > 0) await runFirst(db, queues);
    const before = relay.relayed;
    for (let count = 0; count < 3; count += 1)
      await addTask(db, org, { requirements: { worker_pool_id: 'pool' } });
    await expect.poll(() => relay.relayed, SOON).toBe(before + 3);
    await emptied(db);
    expect(await turnsOf(queues)).toEqual([]);
    await openSweeper(withClockAhead(db, 10_000), queues).sweep();
    expect(await db.redis.zcard(orgKeysOf(db.prefix, org).matchRequests)).toBeLessThanOrEqual(0);
  });
});

describe('a waiting task is offered, without the sweeper, as soon as a worker', async () => {
  const db = await openTestDb();
  await runProcessorsOfFile(db, { sweepEvery: 3600_000 });
  const ready = { skills: ['a'], pool_ids: ['pool'], trust_level: 3, rating: 4 };
  const change =
    (id: string, before: Partial<Worker>, after: Partial<Worker>) => async (db: Db, org: string) => {
      await addWorker(db, org, { worker_id: id, ...ready, ...before });
      return () => changeWorker(db, org, id, after);
    };
  const cases: [string, (db: Db, org: string) => Promise<() => Promise<unknown>>][] = [
    ['is new', async (db, org) => () => addWorker(db, org, ready)],
    ['is available again', change('w', { availability: 'away' }, { availability: 'available' })],
    ['has learnt the skill', change('w', { skills: [] }, { skills: ['a'] })],
    ['has joined the pool', change('w', { pool_ids: [] }, { pool_ids: ['pool'] })],
    ['is trusted more', change('w', { trust_level: 0 }, { trust_level: 3 })],
    ['is rated better', change('w', { rating: 1 }, { rating: 4 })],
    [
      'has capacity again',
      async (db, org) => {
        const { worker_id } = await addWorker(db, org, { ...ready, capacity: 1 });
        const busy = await accept(db, await offerTo(db, await addTask(db, org), [worker_id]), worker_id);
        return () => applyCommands(db, busy, { name: 'cancel', reason: null });
      },
    ],
    [
      'has more capacity',
      async (db, org) => {
        const { worker_id } = await addWorker(db, org, { ...ready, capacity: 1 });
        await accept(db, await offerTo(db, await addTask(db, org), [worker_id]), worker_id);
        return () => changeWorker(db, org, worker_id, { capacity: 2 });
      },
    ],
    [
      'has had an offer revoked',
      async (db, org) => {
        const { worker_id } = await addWorker(db, org, { ...ready, capacity: 1 });
        const offered = await offerTo(db, await addTask(db, org), [worker_id]);
        return () => applyCommands(db, offered, { name: 'cancel', reason: null });
      },
    ],
  ];
  it.each(cases)('%s', async (_name, prepare) => {
    const org = freshOrg(db);
    await addPool(db, org);
    const makeReady = await prepare(db, org);
    const requirements = { skills: ['a'], worker_pool_id: 'pool', trust_level: 2, min_rating: 3 };
    const task = await addTask(db, org, { requirements });
    await emptied(db);
    expect(await statusOf(db, task)).toBe('queued');
    await makeReady();
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
  });

  it('who is the only one and declined has cooled down', async () => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'sole' });
    const task = await addTask(db, org);
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
    const offered = await taskOf(db, org, task.task_id);
    const declining = { offer_id: offerIdOf(offered, 'sole'), worker_id: 'sole', reason: null };
    await applyCommands(db, offered, { name: 'decline', ...declining, retry_after_seconds: 1 });
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
  });

  it('meets the requirements after a relaxation step', async () => {
    const org = freshOrg(db);
    await addWorker(db, org);
    const steps = [{ after_seconds: 1, requirements: { skills: [] } }];
    const task = await addTask(db, org, { requirements: { skills: ['rare'], steps } });
    await emptied(db);
    expect(await statusOf(db, task)).toBe('queued');
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
  });
});

describe('orgs take turns', () => {
  it('a burst of one org has one job, and another org waits for one turn only', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const [busy, other] = [freshOrg(db), freshOrg(db)];
    const burst = 4 * TURN_BUDGET;
    await addWorker(db, busy, { capacity: burst });
    await addWorker(db, other);
    const relay = await runRelay(db, queues);
    await emptied(db);
    while ((await turnsOf(queues)).length > 0) await runFirst(db, queues);
    const before = relay.relayed;
    await Promise.all(Array.from({ length: burst }, () => addTask(db, busy)));
    await expect.poll(() => relay.relayed, SOON).toBe(before + burst);
    expect((await turnsOf(queues)).map((one) => one.org_id)).toEqual([busy]);
    await runFirst(db, queues);
    const late = await addTask(db, other);
    await emptied(db);
    // The burst came first, but gets one turn only.
    expect((await runFirst(db, queues)).org_id).toBe(busy);
    expect((await runFirst(db, queues)).org_id).toBe(other);
    expect(await statusOf(db, late)).toBe('offered');
    const offered = await db.redis.zcard(orgKeysOf(db.prefix, busy).index('status:offered'));
    expect(offered).toBeGreaterThan(TURN_BUDGET);
    expect(offered).toBeLessThanOrEqual(2 * TURN_BUDGET);
    while ((await turnsOf(queues)).length > 0) await runFirst(db, queues);
    expect(await db.redis.zcard(orgKeysOf(db.prefix, busy).index('status:offered'))).toBe(burst);
    expect(await db.redis.hlen(orgKeysOf(db.prefix, busy).matchTurns)).toBe(0);
  });
});

describe('no match request is lost', () => {
  it('when a process dies during a turn or after it', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    await addWorker(db, org, { capacity: 9 });
    const task = await addTask(db, org);
    const begun = await requestMatches(db, org, [{ kind: 'task', task_id: task.task_id, pool: null }], 10);
    expect(begun?.requests).toMatchObject([{ kind: 'task', id: task.task_id }]);
    // The process that has the requests dies.
    expect(await takeTurn(db, org, begun?.turn ?? '', 10)).toEqual(begun);
    const sweeper = openSweeper(withClockAhead(db, 10_000), queues);
    expect(await sweeper.sweep()).toBe(1);
    expect(await sweeper.sweep()).toBe(0);
    await deleteAllJobs(db);
    expect(await sweeper.sweep()).toBe(1);
    await runProcessors(db, { sweepEvery: 3600_000 });
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
  });

  it('when it is repeated during its turn', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'w', capacity: 9 });
    const request = { kind: 'worker', worker_id: 'w' } as const;
    const turn = (await requestMatches(db, org, [request], 10))?.turn ?? '';
    const redis = db.redis.duplicate();
    let isAgain = false;
    // While the worker's request is handled, a task arrives and the worker is requested again.
    Object.defineProperty(redis, 'zrange', {
      value: async (...args: Parameters<Db['redis']['zrange']>) => {
        const found = await db.redis.zrange(...args);
        if (!isAgain) {
          isAgain = true;
          await addTask(db, org);
          await requestMatches(db, org, [request], 10);
        }
        return found;
      },
    });
    try {
      await runMatchingTurn({ ...db, redis }, queues, { form: 1, org_id: org, turn });
    } finally {
      redis.disconnect();
    }
    expect(isAgain).toBe(true);
    expect(await turnsOf(queues)).toHaveLength(1);
  });

  it('when one request fails: the others are handled, and the job records the reason', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    await addWorker(db, org, { capacity: 9 });
    const [broken, sound] = [await addTask(db, org), await addTask(db, org)];
    await db.redis.hdel(orgKeysOf(db.prefix, org).task(broken.task_id), 's');
    await db.redis.zrem(orgKeysOf(db.prefix, org).index('status:queued'), broken.task_id);
    for (const key of await db.redis.keys(`*${org}:queue:*`)) await db.redis.zremrangebyrank(key, 0, 0);
    const requests = [broken, sound].map(({ task_id }) => ({ kind: 'task', task_id, pool: null }) as const);
    const turn = (await requestMatches(db, org, requests, 10))?.turn ?? '';
    await expect(runMatchingTurn(db, queues, { form: 1, org_id: org, turn })).rejects.toThrow(
      /cannot be read: incomplete/,
    );
    expect(await statusOf(db, sound)).toBe('offered');
    expect(await db.redis.hlen(orgKeysOf(db.prefix, org).matchTurns)).toBe(0);
  });
});
