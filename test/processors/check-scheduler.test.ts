// The scheduler of checks: the moment of a check that is due later than in a minute gets its job in time, once, and without the relay.
import { describe, expect, it } from 'vitest';
import { CheckScheduler } from '../../src/processors/check-scheduler.ts';
import { checksOf } from '../../src/state/tasks/scheduled-checks.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { addTask, applyCommands, freshOrg, openTestDb, taskOf } from '../support/db.ts';
import {
  ERRORS_ONLY,
  momentJobId,
  openQueues,
  outboxLength,
  runProcessors,
  runRelay,
  withClockAt,
} from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';
import { rfc3339 } from '../support/tasks.ts';

const shared = await openTestDb();
const ownStore = (): Db => ({ ...shared, prefix: freshPrefix() });
const SOON = { timeout: 15_000 };

/** A store whose clock shows `start` plus the seconds that the test sets. */
function timed(db: Db, start: number) {
  const time = { seconds: 0 };
  const now = () => start + time.seconds * 1000;
  return { time, db: { ...db, clock: { ...withClockAt(db, start).clock, now } } };
}

const ids = async (queues: ReturnType<typeof openQueues>) =>
  (await queues.shards[0].all.sla.getJobs(['delayed', 'waiting'])).map((job) => job.id).sort();

describe('a check that is due later than in a minute', () => {
  it('has the job of its moment in the last minute, once', async () => {
    const store = ownStore();
    const org = freshOrg(store);
    const task = await addTask(store, org, { sla: { target_latency_seconds: 100 } });
    const { time, db } = timed(store, task.created_at);
    const queues = openQueues(db);
    await runRelay(db, queues);
    await expect.poll(() => outboxLength(db), SOON).toBe(0);
    const scheduler = new CheckScheduler({ db, queues, log: ERRORS_ONLY });
    await scheduler.schedule();
    expect(await ids(queues)).toEqual([]);
    time.seconds = 45;
    await scheduler.schedule();
    expect(await ids(queues)).toEqual([momentJobId(org, task.created_at + 100_000)]);
    const [job] = await queues.shards[0].all.sla.getJobs(['delayed']);
    expect(job?.delay).toBeGreaterThanOrEqual(55_000);
    expect(job?.delay).toBeLessThanOrEqual(55_050);
    // It is not read again, so a job that has run is not added again.
    await job?.remove();
    time.seconds = 60;
    await scheduler.schedule();
    expect(await ids(queues)).toEqual([]);
    // The clock has gone back: everything is read again.
    time.seconds = 41;
    await scheduler.schedule();
    expect(await ids(queues)).toEqual([momentJobId(org, task.created_at + 100_000)]);
  });

  it('has a job by the relay when the check before it has run', async () => {
    const store = ownStore();
    const queues = openQueues(store);
    const org = freshOrg(store);
    // Created long enough ago that the first clock is due now.
    const { time, db } = timed(store, store.clock.now() - 50_000);
    const deadline = db.clock.now() + 70_000;
    const task = await addTask(db, org, { sla: { target_latency_seconds: 50, deadline: rfc3339(deadline) } });
    const scheduler = new CheckScheduler({ db, queues, log: ERRORS_ONLY });
    await runRelay(db, queues);
    await expect.poll(() => outboxLength(db), SOON).toBe(0);
    await scheduler.schedule();
    // The task is indexed by its target latency, in the part that was just read.
    time.seconds = 15;
    await scheduler.schedule();
    expect(await ids(queues)).toEqual([momentJobId(org, task.created_at + 50_000)]);
    time.seconds = 50;
    await applyCommands(store, task, { name: 'target_latency' });
    await expect.poll(() => ids(queues), SOON).toContain(momentJobId(org, deadline));
  });

  it('shares the job of its moment with a thousand others that are due then', async () => {
    const store = ownStore();
    const queues = openQueues(store);
    const org = freshOrg(store);
    const deadline = store.clock.now() + 300_000;
    const { due } = orgKeysOf(store.prefix, org);
    const members = Array.from({ length: 1001 }, (_, index) => [deadline, `${org} ${index}`]);
    await store.redis.zadd(due, ...members.flat(), deadline + 60, `${org} later`);
    const { db } = timed(store, deadline - 30_000);
    await new CheckScheduler({ db, queues, log: ERRORS_ONLY }).schedule();
    const moments = [deadline, deadline + 60].map((at) => momentJobId(org, at));
    expect(await ids(queues)).toEqual(moments);
  });
});

it('a process that starts runs what became due while none ran, whoever held the lock', async () => {
  const db = ownStore();
  const task = await addTask(db, freshOrg(db), { sla: { target_latency_seconds: 1 } });
  const [check] = checksOf(task).filter(({ kind }) => kind === 'target_latency');
  await expect.poll(() => db.clock.now(), SOON).toBeGreaterThan(check?.at ?? 0);
  // The entry is lost too, as is the job.
  await db.redis.del(...(await db.redis.keys(`${db.prefix.replace(/[{}]/g, '?')}:*outbox`)));
  await db.redis.set(`${db.prefix}:check-schedule`, 'a dead process', 'PX', 60_000);
  await runProcessors(db, { sweepEvery: 60_000 });
  await expect.poll(async () => (await taskOf(db, task.org_id, task.task_id)).breaches.length, SOON).toBe(1);
});
