// Due times, with all processors running: each takes effect in time and once, whether jobs are late, early or duplicated.
import { describe, expect, it, onTestFinished } from 'vitest';
import { OutputSchemas } from '../../src/output-schema/output-schemas.ts';
import { runSlaJob } from '../../src/processors/due-checks.ts';
import { guardJobs, TolerantWorker } from '../../src/processors/job-guard.ts';
import { runCheckJob } from '../../src/processors/timers.ts';
import { checkJob } from '../../src/queues/new-jobs.ts';
import { queuePrefix } from '../../src/queues/shards.ts';
import { checksOf } from '../../src/state/tasks/scheduled-checks.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import {
  accept,
  addPool,
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  historyOf,
  offerTo,
  openTestDb,
  taskOf,
  workThrough,
} from '../support/db.ts';
import { ERRORS_ONLY, openQueues, runProcessorsOfFile, withClockAhead } from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';
import { rfc3339 } from '../support/tasks.ts';

const db = await openTestDb();
const SOON = { timeout: 20_000 };
/** Extra lateness allowed on a busy machine, ms. */
const BUSY_MACHINE = 500;
// The sweeper does not run: everything here follows from jobs alone.
const { queues } = await runProcessorsOfFile(db, { sweepEvery: 3600_000 });

const now = (db: Db, task: Task) => taskOf(db, task.org_id, task.task_id);
const statusOf = (db: Db, task: Task) => now(db, task).then((one) => one.status);
const clocksOf = (db: Db, task: Task) => now(db, task).then((one) => one.breaches.map(({ clock }) => clock));
const typesOf = (db: Db, task: Task) => historyOf(db, task).then((all) => all.map((one) => one.type));

describe('a job of a process whose clock is held', () => {
  it('is put off and fails nothing, and takes effect when the clock is no longer held', async () => {
    const own: Db = { ...db, prefix: freshPrefix() };
    const org = freshOrg(own);
    const deadline = rfc3339(own.clock.now() + 1000);
    const task = await addTask(own, org, { sla: { deadline } });
    const clock = { now: () => own.clock.now(), isFrozen: true, offset: 0, sync: async () => undefined };
    const seen: Db = { ...own, clock };
    const jobs = openQueues(own);
    const schemas = new OutputSchemas();
    onTestFinished(() => schemas.close());
    const by = { db: seen, queues: jobs, schemas, log: ERRORS_ONLY };
    const run = guardJobs(seen, 'sla', (read, job, token) => runSlaJob(by, read, job, token));
    const worker = new TolerantWorker(() => clock.now(), 'sla', run, {
      connection: own.redis,
      prefix: queuePrefix(own.prefix, 0),
    });
    onTestFinished(() => worker.close());
    const [check] = checksOf(task).filter((one) => one.kind === 'deadline');
    if (check === undefined) throw new Error('the task has no deadline');
    const wanted = checkJob(task, check, own.clock.now());
    await jobs.add([wanted]);
    const job = await jobs.shards[0].all.sla.getJob(wanted.opts.jobId);
    // It ran when it was due, and waits again.
    const attempts = async () =>
      (await jobs.shards[0].all.sla.getJob(wanted.opts.jobId))?.attemptsStarted ?? 0;
    await expect.poll(attempts, SOON).toBeGreaterThanOrEqual(1);
    await expect.poll(() => job?.getState(), SOON).toBe('delayed');
    expect(await job?.isFailed()).toBe(false);
    expect(await statusOf(own, task)).toBe('queued');
    clock.isFrozen = false;
    await expect.poll(() => statusOf(own, task), SOON).toBe('failed');
    await expect.poll(() => job?.getState(), SOON).toBe('completed');
  });
});

// Each in an org of its own, and idle until something is due. What is awaited belongs to a test: its own `expect`.
describe.concurrent('an SLA clock', () => {
  it('is breached once, within a second of its due time', async ({ expect }) => {
    const org = freshOrg(db);
    // No worker is eligible, and nothing else happens at that time.
    const deadline = rfc3339(db.clock.now() + 3500);
    const tasks = await Promise.all(
      Array.from({ length: 30 }, () => addTask(db, org, { sla: { target_latency_seconds: 1, deadline } })),
    );
    for (const task of tasks) await expect.poll(() => statusOf(db, task), SOON).toBe('failed');
    for (const task of tasks) {
      const { breaches, failure } = await now(db, task);
      expect(breaches.map((one) => one.clock)).toEqual(['target_latency', 'deadline']);
      for (const { breached_at, due_at } of breaches) {
        expect(breached_at).toBeGreaterThanOrEqual(due_at);
        expect(breached_at - due_at).toBeLessThan(1000 + BUSY_MACHINE);
      }
      expect(failure?.code).toBe('deadline_exceeded');
      expect(await typesOf(db, task)).toEqual([
        'task.created',
        'task.queued',
        'task.sla_breached',
        'task.sla_breached',
        'task.failed',
      ]);
    }
  });

  it('that is due while a worker is at work emits the breach, and work continues', async ({ expect }) => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a' });
    const deadline = rfc3339(db.clock.now() + 3500);
    const task = await addTask(db, org, { sla: { deadline } });
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
    const started = await applyCommands(db, await accept(db, await now(db, task), 'a'), {
      name: 'start',
      worker_id: 'a',
    });
    await expect.poll(() => clocksOf(db, task), SOON).toEqual(['deadline']);
    expect(await statusOf(db, task)).toBe('started');
    const submission = { output: 'late', evidence: [], notes: null };
    await applyCommands(db, started, { name: 'submit', worker_id: 'a', submission });
    await expect.poll(() => statusOf(db, task), SOON).toBe('completed');
  });

  it('that is due during a pending offer fails the task and releases the worker', async ({ expect }) => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a' });
    const task = await addTask(db, org, { sla: { deadline: rfc3339(db.clock.now() + 2500) } });
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
    await expect.poll(() => statusOf(db, task), SOON).toBe('failed');
    expect((await now(db, task)).offers.map((one) => one.status)).toEqual(['withdrawn']);
    const next = await addTask(db, org);
    await expect.poll(() => statusOf(db, next), SOON).toBe('offered');
  });

  it('that is met by a submission is not breached, and is checked again after rework', async ({ expect }) => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a' });
    const review = { mode: 'manual' } as const;
    const [met, returned] = [
      await addTask(db, org, { sla: { target_latency_seconds: 3 }, review }),
      await addTask(db, org, { sla: { target_latency_seconds: 3 }, review }),
    ];
    for (const task of [met, returned]) {
      await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
      await workThrough(db, await now(db, task), 'a');
    }
    await applyCommands(db, await now(db, returned), { name: 'rework', feedback: null });
    await expect.poll(() => clocksOf(db, returned), SOON).toEqual(['target_latency']);
    const [breach] = (await now(db, returned)).breaches;
    expect((breach?.breached_at ?? 0) - (breach?.due_at ?? 0)).toBeLessThan(1000);
    expect(await clocksOf(db, met)).toEqual([]);
  });
});

describe.concurrent('a task with a not_before', () => {
  it('is queued then, within a second, and offered', async ({ expect }) => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a' });
    const start = db.clock.now() + 1500;
    const task = await addTask(db, org, { more: { not_before: rfc3339(start) } });
    expect(task.status).toBe('created');
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
    const [created, queued] = await historyOf(db, task);
    expect([created?.type, queued?.type]).toEqual(['task.created', 'task.queued']);
    const late = Date.parse(queued?.at ?? '') - start;
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(1000 + BUSY_MACHINE);
  });

  it('is not queued early by a process whose clock is ahead', async ({ expect, onTestFinished }) => {
    const org = freshOrg(db);
    const start = db.clock.now() + 2000;
    const task = await addTask(db, org, { more: { not_before: rfc3339(start) } });
    const [check] = checksOf(task).filter((one) => one.kind === 'queue');
    if (check === undefined) throw new Error('the task has no start');
    const schemas = new OutputSchemas();
    onTestFinished(() => schemas.close());
    const putOff: number[] = [];
    const job = { moveToDelayed: async (at: number) => void putOff.push(at) };
    let ahead = 4000;
    const clock = {
      now: () => db.clock.now() + ahead,
      isFrozen: false,
      offset: 0,
      sync: async () => {
        ahead = 0;
      },
    };
    const data = { form: 3, org_id: org, task_id: task.task_id, check };
    const run = runCheckJob(
      { db: { ...db, clock }, queues, schemas, log: ERRORS_ONLY },
      data,
      job,
      undefined,
    );
    await expect(run).rejects.toThrow();
    expect(await statusOf(db, task)).toBe('created');
    expect(putOff).toHaveLength(1);
    await expect.poll(() => statusOf(db, task), SOON).toBe('queued');
    const queued = (await historyOf(db, task)).filter((one) => one.type === 'task.queued');
    expect(queued).toHaveLength(1);
  });
});

describe.concurrent('the job of an SLA clock', () => {
  it('that runs early is delayed until the due time', async ({ expect }) => {
    const org = freshOrg(db);
    const task = await addTask(db, org, { sla: { target_latency_seconds: 2 } });
    const [check] = checksOf(task).filter((one) => one.kind === 'target_latency');
    if (check === undefined) throw new Error('no clock');
    const about = { org_id: org, task_id: task.task_id, version: 1 };
    // As a machine whose clock is an hour ahead would add it.
    await queues.add([checkJob(about, check, check.at + 3600_000, 'early')]);
    const id = `target_latency-${task.task_id}-${check.at}-clock-early`;
    await expect.poll(() => queues.shards[0].all.sla.getJobState(id), SOON).toBe('delayed');
    expect(await clocksOf(db, task)).toEqual([]);
    await expect.poll(() => queues.shards[0].all.sla.getJobState(id), SOON).toBe('completed');
    const [breach] = (await now(db, task)).breaches;
    expect(breach?.breached_at).toBeGreaterThanOrEqual(check.at);
    expect(await typesOf(db, task)).toEqual(['task.created', 'task.queued', 'task.sla_breached']);
  });

  it('that is duplicated breaches once', async ({ expect }) => {
    const org = freshOrg(db);
    const task = await addTask(db, org, { sla: { target_latency_seconds: 1 } });
    const [check] = checksOf(task).filter((one) => one.kind === 'target_latency');
    if (check === undefined) throw new Error('no clock');
    const about = { org_id: org, task_id: task.task_id, version: 1 };
    const copies = Array.from({ length: 20 }, (_, copy) =>
      checkJob(about, check, db.clock.now(), `c${copy}`),
    );
    await queues.add(copies);
    for (const { opts } of copies)
      await expect.poll(() => queues.shards[0].all.sla.getJobState(opts.jobId), SOON).toBe('completed');
    expect(await typesOf(db, task)).toEqual(['task.created', 'task.queued', 'task.sla_breached']);
  });

  it('for a check that no longer applies does nothing', async ({ expect }) => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a', availability: 'available', capacity: 5 });
    const task = await addTask(db, org, { sla: { target_latency_seconds: 3600 } });
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
    const offered = await now(db, task);
    const accepted = await accept(db, offered, 'a');
    const done = await applyCommands(db, accepted, { name: 'start', worker_id: 'a' });
    const about = { org_id: org, task_id: task.task_id, version: 1 };
    const stale = [offered, accepted].flatMap((view) =>
      checksOf(view).filter((one) => one.kind === 'offer_expiry' || one.kind === 'start_timeout'),
    );
    expect(stale).toHaveLength(2);
    // All of them due by now.
    const jobs = stale.map((one) => checkJob(about, { ...one, at: 1 }, 2, 'stale'));
    await queues.add(jobs);
    for (const { opts } of jobs)
      await expect.poll(() => queues.shards[0].all.sla.getJobState(opts.jobId), SOON).toBe('completed');
    expect(await now(db, task)).toEqual(done);
  });
});

describe.concurrent('due times', () => {
  it('expire an offer within a second', async ({ expect }) => {
    const org = freshOrg(db);
    await addPool(db, org, { offer_ttl_seconds: 1 });
    await addWorker(db, org, { worker_id: 'a', pool_ids: ['pool'] });
    const task = await addTask(db, org, { requirements: { worker_pool_id: 'pool' } });
    await expect.poll(() => typesOf(db, task), SOON).toContain('task.offered');
    const expiry = async () => (await historyOf(db, task)).find((one) => one.data.reason === 'expired');
    await expect.poll(async () => (await expiry())?.type, SOON).toBe('task.queued');
    const offeredAt = (await historyOf(db, task)).find((one) => one.type === 'task.offered')?.at ?? '';
    const late = Date.parse((await expiry())?.at ?? '') - (Date.parse(offeredAt) + 1000);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(1000 + BUSY_MACHINE);
  });

  it('take back a task that was accepted and not started', async ({ expect, onTestFinished }) => {
    // Only the test runs jobs here.
    const own: Db = { ...db, prefix: freshPrefix() };
    const org = freshOrg(own);
    const { worker_id } = await addWorker(own, org);
    const accepted = await accept(own, await offerTo(own, await addTask(own, org), [worker_id]), worker_id);
    const [check] = checksOf(accepted).filter((one) => one.kind === 'start_timeout');
    if (check === undefined) throw new Error('no such question');

    const alone = openQueues(own, onTestFinished);
    const about = { org_id: org, task_id: accepted.task_id, version: 1 };
    const made = checkJob(about, check, own.clock.now());
    await alone.add([made]);
    const job = await alone.shards[0].all.sla.getJob(made.opts.jobId);
    if (job === undefined) throw new Error('no job');
    // A quarter of an hour later.
    const deps = { db: withClockAhead(own, 901_000), queues, schemas: new OutputSchemas(), log: ERRORS_ONLY };
    await runCheckJob(deps, { form: 1, org_id: org, task_id: accepted.task_id, check }, job, undefined);
    const back = await now(own, accepted);
    expect([back.status, back.attempt, back.assignment]).toEqual(['queued', 2, null]);
  });

  it('approve an unreviewed submission, and only the one for which they were set', async ({ expect }) => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a' });
    const review = { mode: 'manual', auto_approve_after_seconds: 3 } as const;
    const task = await addTask(db, org, { review });
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
    const first = await workThrough(db, await now(db, task), 'a');
    const again = await applyCommands(db, first, { name: 'rework', feedback: null });
    const submission = { output: 'better', evidence: [], notes: null };
    const second = await applyCommands(db, again, { name: 'submit', worker_id: 'a', submission });
    // The check of the first submission, as a late relay would still add it.
    const [stale] = checksOf(first).filter((one) => one.kind === 'auto_approve');
    if (stale === undefined) throw new Error('no such question');
    const about = { org_id: org, task_id: task.task_id, version: 1 };
    const late = checkJob(about, { ...stale, at: 1 }, 2, 'stale');
    await queues.add([late]);
    await expect.poll(() => queues.shards[0].all.sla.getJobState(late.opts.jobId), SOON).toBe('completed');
    expect(await statusOf(db, task)).toBe('submitted');
    await expect.poll(() => statusOf(db, task), SOON).toBe('completed');
    const completed = await now(db, task);
    expect((completed.completed_at ?? 0) - second.status_changed_at).toBeGreaterThanOrEqual(3000);
    expect(completed.submission?.output).toBe('better');
  });
});
