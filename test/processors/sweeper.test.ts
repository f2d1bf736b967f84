// The sweeper: adds and counts lost jobs, and adds none where a job exists.
import { describe, expect, it } from 'vitest';
import { momentJob } from '../../src/queues/new-jobs.ts';
import { momentOf } from '../../src/state/tasks/due-moment.ts';
import { checksOf } from '../../src/state/tasks/scheduled-checks.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import { changeTask } from '../../src/store/commands/change.ts';
import { commit } from '../../src/store/redis/commit.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf, partitionOf } from '../../src/store/redis/keys.ts';
import { allMatchingQueues } from '../../src/store/workers/matching-queues.ts';
import { poolWrites } from '../../src/store/workers/pools.ts';
import { isBeingRemoved, releaseOrphanedReservation } from '../../src/store/workers/workers.ts';
import {
  accept,
  addOrg,
  addPool,
  addTask,
  addWorker,
  applyCommands,
  changeWorker,
  historyOf,
  offerTo,
  openTestDb,
  type TestDb,
  taskOf,
  workerOf,
  workThrough,
} from '../support/db.ts';
import {
  deleteAllJobs,
  momentJobId,
  openQueues,
  openSweeper,
  outboxLength,
  runProcessors,
  runRelay,
  withClockAhead,
  withClockAt,
} from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';
import { type InputChange, rfc3339 } from '../support/tasks.ts';

const shared = await openTestDb();
const ownStore = (): TestDb => ({ ...shared, prefix: freshPrefix() });
const HOUR = 3600_000;

const kinds = async (queues: ReturnType<typeof openQueues>) => {
  const lists = await Promise.all(
    Object.values(queues.shards[0].all).map((queue) => queue.getJobs(['waiting', 'prioritized', 'delayed'])),
  );
  return lists
    .flat()
    .map((job) => job.name)
    .sort();
};

/** One task in every state that has scheduled checks, with all SLA clocks. */
async function oneOfEach(db: Db, org: string): Promise<Task[]> {
  const clocks = { target_latency_seconds: 60, deadline: rfc3339(db.clock.now() + 120_000) };
  const worker_id = (await addWorker(db, org, { capacity: 20 })).worker_id;
  const offered = () => addTask(db, org, { sla: clocks }).then((task) => offerTo(db, task, [worker_id]));
  const accepted = async () => accept(db, await offered(), worker_id);
  const review = { mode: 'manual', auto_approve_after_seconds: 60 } as const;
  const tasks = [
    await offered(),
    await accepted(),
    await applyCommands(db, await accepted(), { name: 'start', worker_id }),
    await workThrough(db, await offered(), worker_id),
    await workThrough(
      db,
      await offerTo(db, await addTask(db, org, { sla: clocks, review }), [worker_id]),
      worker_id,
    ),
    await addTask(db, org, {
      sla: { ...clocks, escalations: [{ after_seconds: 60, while: 'unfinished', urgency: 'high' }] },
      requirements: { trust_level: 5 },
    }),
    await addTask(db, org, { more: { not_before: rfc3339(db.clock.now() + 60_000) } }),
  ];
  // No worker is ready, so nothing is matched.
  await changeWorker(db, org, worker_id, { availability: 'away' });
  return tasks;
}

const OWED = [
  // Of the six open tasks, offered, accepted, started and queued have both SLA clocks.
  ...Array.from({ length: 4 }, () => ['target_latency', 'deadline']).flat(),
  'offer_expiry',
  'start_timeout',
  'verify',
  'auto_approve',
  'escalate',
  'queue',
].sort();

/** The jobs that run them: one for all that are due, and one for the verification. */
const ADDED = ['moment', 'verify'];

describe('a sweep', () => {
  it('adds a job for all overdue checks of a partition and one for a verification once, and counts them', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    const tasks = await oneOfEach(db, org);
    const owed = tasks.flatMap((task) => checksOf(task).filter((one) => one.kind !== 'match'));
    expect(owed.map((one) => one.kind).sort()).toEqual(OWED);
    // The outbox was never relayed, as if the jobs had been added and lost.
    const sweeper = openSweeper(withClockAhead(db, 2 * HOUR), queues);
    expect(await sweeper.sweep()).toBe(2);
    expect(await kinds(queues)).toEqual(ADDED);
    expect(await sweeper.sweep()).toBe(0);
    expect(await kinds(queues)).toEqual(ADDED);
    expect(sweeper.jobsAdded).toBe(2);
    // Jobs that are lost again are added again.
    await deleteAllJobs(db);
    expect(await sweeper.sweep()).toBe(2);
  });

  it('adds one job for the checks of a lost queue, however many of them share their time', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    const count = 1200;
    const timed: InputChange = { sla: { target_latency_seconds: 60 }, requirements: { trust_level: 5 } };
    for (let made = 0; made < count; made += 100)
      await Promise.all(Array.from({ length: 100 }, () => addTask(db, org, timed)));
    const { due } = orgKeysOf(db.prefix, org);
    const at = (await db.redis.zrange(due, '0', '0', 'WITHSCORES'))[1] ?? '';
    const members = await db.redis.zrange(due, '0', '-1');
    // Some two pages that differ by nothing but their names.
    await db.redis.zadd(due, ...members.slice(0, 1000).flatMap((member) => [at, member]));
    const sweeper = openSweeper(withClockAhead(db, 2 * HOUR), queues);
    expect(await sweeper.sweep()).toBe(1);
    expect(await kinds(queues)).toEqual(['moment']);
  });

  it('adds the jobs of the next minute again where one was lost', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    const from = db.clock.now();
    const due = (seconds: number) => addTask(db, org, { sla: { deadline: rfc3339(from + seconds * 1000) } });
    for (const seconds of [10, 30, 50, 100]) await due(seconds);
    // Their jobs were added by this process, and lost.
    const relay = await runRelay(db, queues);
    await expect.poll(() => outboxLength(db), { timeout: 15_000 }).toBe(0);
    await relay.close();
    await deleteAllJobs(db);
    const sweeper = openSweeper(withClockAt(db, from + 20_000), queues);
    expect(await sweeper.sweep()).toBe(1);
    const ids = async () => {
      const jobs = await queues.shards[0].all.sla.getJobs(['waiting', 'delayed']);
      return jobs.map((job) => job.id ?? '').sort();
    };
    const near = [30, 50].map((seconds) => momentJobId(org, from + seconds * 1000));
    expect(await ids()).toEqual([...near, expect.stringMatching(/^moment-\w+-r\d+$/)]);
    expect(await sweeper.sweep()).toBe(0);
  });

  it('adds no job for a check that has one or is not due', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    await oneOfEach(db, org);
    // Only automatic verification is due at once; the other checks are due later.
    expect(await openSweeper(withClockAhead(db, 20_000), queues).sweep()).toBe(1);
    await deleteAllJobs(db);
    // By its clock the first check of each task is due within a minute, so that its moment has a job.
    const relay = await runRelay(withClockAhead(db, 30_000), queues);
    await expect.poll(() => outboxLength(db), { timeout: 15_000 }).toBe(0);
    await relay.close();
    const made = await kinds(queues);
    expect(await openSweeper(withClockAhead(db, 2 * HOUR), queues).sweep()).toBe(0);
    expect(await kinds(queues)).toEqual(made);
  });

  it('adds jobs again that a process with a wrong clock has delayed by hours', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await offerTo(db, await addTask(db, org), [worker_id]);
    const ends = task.offers[0]?.expires_at ?? 0;
    const made = momentJob({ partition: partitionOf(org), at: momentOf(ends, 0) }, db.clock.now());
    await queues.add([{ ...made, opts: { ...made.opts, delay: 5 * HOUR } }]);
    const sweeper = openSweeper(withClockAhead(db, 2 * HOUR), queues);
    expect(await sweeper.sweep()).toBe(1);
    expect(await sweeper.sweep()).toBe(0);
    // A check that is delayed by seconds has its job.
    await deleteAllJobs(db);
    await openQueues(db).add([{ ...made, opts: { ...made.opts, delay: 2 * HOUR + 30_000 } }]);
    expect(await sweeper.sweep()).toBe(0);
  });

  it("shortens job locks that outlive their process because Redis' clock went back", async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const queue = queues.shards[0].all.sla;
    const [lock, own] = [`${queue.toKey('job')}:lock`, `${queue.toKey('other')}:lock`];
    await db.redis.rpush(queue.toKey('active'), 'job', 'other');
    await db.redis.set(lock, 'token', 'PX', 2 * HOUR);
    await db.redis.set(own, 'token', 'PX', 5000);
    await db.redis.set(queue.toKey('stalled-check'), '1', 'PX', 2 * HOUR);
    await openSweeper(db, queues).sweep();
    for (const key of [lock, queue.toKey('stalled-check')])
      expect(await db.redis.pttl(key)).toBeLessThanOrEqual(30_000);
    expect(await db.redis.pttl(own)).toBeLessThanOrEqual(5000);
  });

  it('adds lost delivery jobs again', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    for (let count = 0; count < 3; count += 1)
      await addTask(db, org, { handoff: { callback_url: 'https://receiver.example/' } });
    const sweeper = openSweeper(withClockAhead(db, 10_000), queues);
    expect(await sweeper.sweep()).toBe(6);
    expect(await kinds(queues)).toEqual(Array.from({ length: 6 }, () => 'deliver'));
    expect(await sweeper.sweep()).toBe(0);
  });

  it('requests matches again for waiting tasks while a worker is ready', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    await Promise.all([addTask(db, org), addTask(db, org)]);
    await addTask(db, org, { requirements: { skills: ['a'] } });
    const sweeper = openSweeper(withClockAhead(db, 10_000), queues);
    await sweeper.sweep();
    expect(await kinds(queues)).toEqual([]);
    await Promise.all([addWorker(db, org), addWorker(db, org)]);
    await sweeper.sweep();
    // The first task of each matching queue is requested, and the others follow from it; one job does both.
    expect(await kinds(queues)).toEqual(['match']);
    expect(await db.redis.zcard(orgKeysOf(db.prefix, org).matchRequests)).toBe(2);
  });

  it('asks for a few ready workers instead of many matching queues', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    const [task] = await Promise.all(
      ['c', 'a', 'b'].map((skill) => addTask(db, org, { requirements: { skills: [skill] } })),
    );
    const { worker_id } = await addWorker(db, org, { skills: ['c'] });
    const sweeper = openSweeper(withClockAhead(db, 10_000), queues);
    await sweeper.sweep();
    const { matchRequests } = orgKeysOf(db.prefix, org);
    expect(await db.redis.zrange(matchRequests, '0', '-1')).toEqual([`worker ${worker_id}`]);
    await runProcessors(db, { sweepEvery: HOUR });
    const status = async () => (await taskOf(db, org, task?.task_id ?? '')).status;
    await expect.poll(status, { timeout: 10_000 }).toBe('offered');
  });

  it('removes an empty matching queue and keeps one with waiting tasks', async () => {
    const db = ownStore();
    const org = await addOrg(db);
    const gone = await addTask(db, org, { requirements: { skills: ['gone'] } });
    await addTask(db, org, { requirements: { skills: ['there'] } });
    await applyCommands(db, gone, { name: 'cancel', reason: null });
    expect(await allMatchingQueues(db, org)).toHaveLength(2);
    await openSweeper(db, openQueues(db)).sweep();
    expect(await allMatchingQueues(db, org)).toMatchObject([{ requirements: { skills: ['there'] } }]);
  });

  it('empties a removed pool when the job for it is lost', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    const pool = await addPool(db, org);
    const { worker_id } = await addWorker(db, org, { pool_ids: [pool.pool_id] });
    const task = await addTask(db, org, { requirements: { worker_pool_id: pool.pool_id } });
    await accept(db, await offerTo(db, task, [worker_id]), worker_id);
    expect(await commit(db.redis, poolWrites(db, pool, null))).toBe(true);
    const sweeper = openSweeper(withClockAhead(db, 10_000), queues);
    expect(await sweeper.sweep()).toBe(1);
    expect(await sweeper.sweep()).toBe(0);
    expect(await kinds(queues)).toEqual(['pool']);
    await runProcessors(db, { sweepEvery: HOUR });
    const { removedPools } = orgKeysOf(db.prefix, org);
    await expect.poll(() => db.redis.zcard(removedPools), { timeout: 15_000 }).toBe(0);
    expect((await taskOf(db, org, task.task_id)).status).toBe('queued');
    expect((await workerOf(db, org, worker_id)).pool_ids).toEqual([]);
    expect(await openSweeper(withClockAhead(db, HOUR), queues).sweep()).toBe(0);
  });

  it('releases what is left of a removed worker when the job for it died half-way', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    const { worker_id } = await addWorker(db, org, { capacity: 2 });
    const [done, left] = [
      await offerTo(db, await addTask(db, org), [worker_id]),
      await offerTo(db, await addTask(db, org), [worker_id]),
    ];
    await changeWorker(db, org, worker_id, null);
    await applyCommands(db, done, { name: 'remove_worker', worker_id });
    await releaseOrphanedReservation(db, org, worker_id, done.task_id);
    expect(await openSweeper(withClockAhead(db, 10_000), queues).sweep()).toBe(1);
    const [job] = await queues.shards[0].all.lifecycle.getJobs(['waiting', 'prioritized']);
    expect(job?.data).toMatchObject({ worker_id, orphaned_tasks: [left.task_id] });
    await runProcessors(db, { sweepEvery: HOUR });
    await expect.poll(() => isBeingRemoved(db, org, worker_id), { timeout: 15_000 }).toBe(false);
    expect((await taskOf(db, org, left.task_id)).status).toBe('queued');
  });

  it('releases the tasks of a removed worker when the job for it is lost', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = await addOrg(db);
    const { worker_id } = await addWorker(db, org, { capacity: 2 });
    const started = await applyCommands(
      db,
      await accept(db, await offerTo(db, await addTask(db, org), [worker_id]), worker_id),
      { name: 'start', worker_id },
    );
    const offered = await offerTo(db, await addTask(db, org), [worker_id]);
    await changeWorker(db, org, worker_id, null);
    const sweeper = openSweeper(withClockAhead(db, 10_000), queues);
    expect(await sweeper.sweep()).toBe(2);
    expect(await sweeper.sweep()).toBe(0);
    await runProcessors(db, { sweepEvery: HOUR });
    for (const { task_id } of [started, offered])
      await expect
        .poll(() => taskOf(db, org, task_id).then((task) => task.status), { timeout: 15_000 })
        .toBe('queued');
    await expect
      .poll(() => db.redis.zcard(orgKeysOf(db.prefix, org).orphanedReservations), { timeout: 15_000 })
      .toBe(0);
  });

  it('does not remove from the index what a concurrent change added', async () => {
    const db = ownStore();
    const org = await addOrg(db);
    const { worker_id } = await addWorker(db, org);
    const offered = await offerTo(
      db,
      await addTask(db, org, { sla: { target_latency_seconds: 7200 } }),
      [worker_id],
      1000,
    );
    const { due } = orgKeysOf(db.prefix, org);
    const member = `${org} ${offered.task_id}`;
    // The offer is overdue when the index is read, and declined before the task itself is read.
    const ahead = withClockAhead(db, 10_000);
    const redis = db.redis.duplicate();
    const read = redis.zrangebyscore.bind(redis);
    let isChanged = false;
    Object.defineProperty(redis, 'zrangebyscore', {
      value: async (key: string, ...rest: [number, number]) => {
        const found = await read(key, ...rest);
        if (key === due && !isChanged && found.includes(member)) {
          isChanged = true;
          const [offer] = offered.offers;
          await changeTask(
            db,
            org,
            offered.task_id,
            [{ name: 'decline', offer_id: offer?.offer_id ?? '', worker_id, reason: null }],
            { actor: 'system' },
          );
        }
        return found;
      },
    });
    try {
      await openSweeper({ ...ahead, redis }, openQueues(db)).sweep();
      expect(isChanged).toBe(true);
      expect(Number(await db.redis.zscore(due, member))).toBe(offered.created_at + 7_200_000);
    } finally {
      redis.disconnect();
    }
  });

  it('removes index members that no record confirms', async () => {
    const db = ownStore();
    const org = await addOrg(db);
    const task = await addTask(db, org);
    const { due } = orgKeysOf(db.prefix, org);
    await db.redis.zadd(due, 1, `${org} ${task.task_id}`, 2, `${org} nothing`);
    expect(await openSweeper(db, openQueues(db)).sweep()).toBe(0);
    expect(await db.redis.zcard(due)).toBe(0);
  });
});

describe('when all jobs are lost midway', () => {
  it('every task is still queued in time and reaches a final state', async () => {
    const db = ownStore();
    const org = await addOrg(db);
    await addPool(db, org, { offer_ttl_seconds: 1 });
    const requirements = { worker_pool_id: 'pool' };
    const { sweeper } = await runProcessors(db, { sweepEvery: 500 });
    const tasks = await Promise.all(
      Array.from({ length: 10 }, () =>
        addTask(db, org, {
          requirements,
          sla: { target_latency_seconds: 1, deadline: rfc3339(db.clock.now() + 4000) },
        }),
      ),
    );
    const later = await addTask(db, org, { more: { not_before: rfc3339(db.clock.now() + 1500) } });
    // Two workers get offers and never answer; the other tasks do not wait for them.
    await addWorker(db, org, { pool_ids: ['pool'], capacity: 2 });
    await expect.poll(() => outboxLength(db), { timeout: 15_000 }).toBe(0);
    await deleteAllJobs(db);
    for (const { task_id } of tasks)
      await expect
        .poll(() => taskOf(db, org, task_id).then((task) => task.failure?.code), { timeout: 25_000 })
        .toBe('deadline_exceeded');
    expect(sweeper.jobsAdded).toBeGreaterThan(0);
    await expect
      .poll(async () => (await historyOf(db, later)).slice(0, 2).map((one) => one.type), { timeout: 15_000 })
      .toEqual(['task.created', 'task.queued']);
    for (const task of tasks) {
      const breaches = (await historyOf(db, task)).filter((one) => one.type === 'task.sla_breached');
      expect(breaches.map((one) => one.data.clock)).toEqual(['target_latency', 'deadline']);
    }
  });
});
