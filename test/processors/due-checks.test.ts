// The job of a moment: it runs the checks of all tasks that are due, each once, whatever becomes of single tasks and processes.
import { beforeAll, describe, expect, it } from 'vitest';
import { OutputSchemas } from '../../src/output-schema/output-schemas.ts';
import { runSlaJob } from '../../src/processors/due-checks.ts';
import { momentJob } from '../../src/queues/new-jobs.ts';
import { readJob } from '../../src/queues/read-job.ts';
import { momentOf } from '../../src/state/tasks/due-moment.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf, partitionOf } from '../../src/store/redis/keys.ts';
import {
  addTask,
  addWorker,
  freshOrg,
  historyOf,
  offerTo,
  openTestDb,
  taskOf,
  workThrough,
} from '../support/db.ts';
import { ERRORS_ONLY, openQueues } from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';
import { rfc3339 } from '../support/tasks.ts';

const shared = await openTestDb();
const SOON = { timeout: 15_000 };
const HOUR = 3600_000;

/** Tasks of an org with the same deadline, which has passed. */
async function overdueTasks(count: number): Promise<{ db: Db; org: string; tasks: Task[]; at: number }> {
  const db: Db = { ...shared, prefix: freshPrefix() };
  const org = freshOrg(db);
  const deadline = db.clock.now() + 1000;
  const sla = { deadline: rfc3339(deadline) };
  const tasks = await Promise.all(Array.from({ length: count }, () => addTask(db, org, { sla })));
  const at = momentOf(deadline, 0);
  await expect.poll(() => db.clock.now(), { ...SOON, interval: 5 }).toBeGreaterThan(at + 5);
  return { db, org, tasks, at };
}

/** Runs the job of a moment as one process. @returns how many checks ran, and by how much the job was put off, ms */
async function runMoment(
  db: Db,
  org: string,
  at: number,
  queues = openQueues(db),
  by: OutputSchemas = schemas,
) {
  const found = { checks: 0, putOff: [] as number[] };
  const read = readJob('sla', momentJob({ partition: partitionOf(org), at }, at));
  if (read.kind !== 'known') throw new Error('the job cannot be read');
  const job = {
    moveToDelayed: async (until: number) => void found.putOff.push(until - Date.now()),
  };
  const onCheck = () => {
    found.checks += 1;
  };
  const deps = { db, queues, schemas: by, log: ERRORS_ONLY, onCheck };
  await runSlaJob(deps, read.value, job, undefined).catch((error: Error) => {
    if (error.name !== 'DelayedError') throw error;
  });
  return found;
}

let schemas: OutputSchemas;
beforeAll(() => {
  schemas = new OutputSchemas();
  return () => schemas.close();
});

const statusOf = async (db: Db, task: Task) => (await taskOf(db, task.org_id, task.task_id)).status;

describe('the job of a moment', () => {
  it('runs each check once when two processes share it, and asks for more of them', async () => {
    const { db, org, tasks, at } = await overdueTasks(250);
    const queues = openQueues(db);
    const both = await Promise.all([runMoment(db, org, at, queues), runMoment(db, org, at, queues)]);
    // One that found the rest claimed by the other looks again.
    for (const { putOff } of both) for (const ms of putOff) expect(ms).toBeLessThanOrEqual(1000);
    expect(both.reduce((sum, { checks }) => sum + checks, 0)).toBe(250);
    for (const { checks } of both) expect(checks).toBeGreaterThan(0);
    for (const task of tasks) {
      const types = (await historyOf(db, task)).map((one) => one.type);
      expect(types).toEqual(['task.created', 'task.queued', 'task.sla_breached', 'task.failed']);
    }
    const { due, dueClaims } = orgKeysOf(db.prefix, org);
    expect([await db.redis.zcard(due), await db.redis.zcard(dueClaims)]).toEqual([0, 0]);
    const more = await queues.shards[0].all.sla.getJobs(['waiting', 'delayed']);
    expect(more.map((job) => job.data)).toEqual([expect.objectContaining({ at, part: 2 })]);
  });

  it('waits for tasks that another process has claimed, and runs them when that claim has ended', async () => {
    const { db, org, tasks, at } = await overdueTasks(2);
    const { dueClaims } = orgKeysOf(db.prefix, org);
    const [claimed, free] = tasks;
    if (claimed === undefined || free === undefined) throw new Error('no tasks');
    await db.redis.zadd(dueClaims, db.clock.now() + 5000, `${org} ${claimed.task_id}`);
    expect((await runMoment(db, org, at)).putOff).toEqual([expect.closeTo(1000, -2)]);
    expect([await statusOf(db, claimed), await statusOf(db, free)]).toEqual(['queued', 'failed']);
    // The process has died. The same holds for a claim by a clock that was set back since.
    for (const ends of [db.clock.now() - 1, db.clock.now() + HOUR]) {
      await db.redis.zadd(dueClaims, ends, `${org} ${claimed.task_id}`);
      await runMoment(db, org, at);
    }
    expect(await statusOf(db, claimed)).toBe('failed');
  });

  it('passes over what cannot be read, is malformed or no longer due', async () => {
    const { db, org, tasks, at } = await overdueTasks(3);
    const [broken, ...others] = tasks;
    if (broken === undefined) throw new Error('no tasks');
    const later = await addTask(db, org, { sla: { target_latency_seconds: 60 } });
    const keys = orgKeysOf(db.prefix, org);
    await db.redis.hset(keys.task(broken.task_id), 's', '{');
    await db.redis.zadd(keys.due, 1, 'nonsense', 2, `${org} nothing`, 3, `${org} ${later.task_id}`);
    expect((await runMoment(db, org, at)).putOff).toEqual([]);
    for (const task of others) expect(await statusOf(db, task)).toBe('failed');
    const left = await db.redis.zrange(keys.due, '0', '-1', 'WITHSCORES');
    expect(left).toEqual([
      `${org} ${later.task_id}`,
      String(later.created_at + 60_000),
      `${org} ${broken.task_id}`,
      expect.any(String),
    ]);
    expect(Number(left[3])).toBeGreaterThan(db.clock.now() + 60_000);
    expect(await db.redis.zcard(keys.dueClaims)).toBe(0);
  });

  it('is put off while the clock is held, and leaves the tasks as they are', async () => {
    const { db, org, tasks, at } = await overdueTasks(2);
    const clock = { now: () => db.clock.now(), isFrozen: true, offset: 0, sync: async () => undefined };
    expect((await runMoment({ ...db, clock }, org, at)).putOff).toEqual([expect.closeTo(2000, -2)]);
    for (const task of tasks) expect(await statusOf(db, task)).toBe('queued');
    expect(await db.redis.zcard(orgKeysOf(db.prefix, org).dueClaims)).toBe(0);
    await runMoment(db, org, at);
    for (const task of tasks) expect(await statusOf(db, task)).toBe('failed');
  });

  it('gives a check that fails on its own a job of its own', async () => {
    const db: Db = { ...shared, prefix: freshPrefix() };
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const review = { mode: 'manual', auto_approve_after_seconds: 1 } as const;
    const offered = await offerTo(db, await addTask(db, org, { review }), [worker_id]);
    const task = await workThrough(db, offered, worker_id);
    const at = momentOf(task.status_changed_at + 1000, 0);
    await expect.poll(() => db.clock.now(), { ...SOON, interval: 5 }).toBeGreaterThan(at + 5);
    const queues = openQueues(db);
    const failing = { checkOutput: () => Promise.reject(new Error('no thread is free')) };
    await runMoment(db, org, at, queues, failing as unknown as OutputSchemas);
    const [job] = await queues.shards[0].all.sla.getJobs(['waiting', 'delayed']);
    expect(job?.data).toMatchObject({ task_id: task.task_id, check: { kind: 'auto_approve' } });
    // The index says so too, in case that job is lost.
    const left = Number(await db.redis.zscore(orgKeysOf(db.prefix, org).due, `${org} ${task.task_id}`));
    expect(left).toBeGreaterThan(db.clock.now());
    expect(await statusOf(db, task)).toBe('submitted');
  });
});
