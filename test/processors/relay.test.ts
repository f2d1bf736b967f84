// The relay: every entry of the outbox becomes its jobs, once, whoever dies in between and in whatever order
// relays come to what they read.
import { describe, expect, it } from 'vitest';
import { jobsOf } from '../../src/queues/catalogue.ts';
import type { OutboxEntry } from '../../src/state/outbox.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import {
  accept,
  addTask,
  addWorker,
  changeWorker,
  freshOrg,
  offerIdOf,
  offerTo,
  openTestDb,
  step,
  workThrough,
} from '../support/db.ts';
import { openQueues, outboxLength, runRelay } from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';

const shared = await openTestDb();
/** A store with an outbox of its own: what one test leaves unread is not another's. */
const ownStore = (): Db => ({ ...shared, prefix: freshPrefix() });
const emptied = (db: Db) => expect.poll(() => outboxLength(db), { timeout: 15_000 }).toBe(0);

/** Ids of the jobs there are, in the queues for now and for later. */
async function jobIds(queues: ReturnType<typeof openQueues>): Promise<string[]> {
  const lists = await Promise.all(
    Object.values(queues.all).map((queue) => queue.getJobs(['waiting', 'prioritized', 'delayed'])),
  );
  return lists.flat().map((job) => job.id ?? '');
}

/** Another relay reads what is new and dies before it has done anything. */
async function readAndDie(db: Db, orgId: string, count = 1000): Promise<OutboxEntry[]> {
  const { outbox } = orgKeysOf(db.prefix, orgId);
  await db.redis.xgroup('CREATE', outbox, 'relay', '0', 'MKSTREAM').catch(() => undefined);
  const reply = await db.redis.xreadgroup('GROUP', 'relay', 'dead', 'COUNT', count, 'STREAMS', outbox, '>');
  const [stream] = (reply ?? []) as [string, [string, string[]][]][];
  return (stream?.[1] ?? []).map(([, fields]) => JSON.parse(fields[1] ?? '') as OutboxEntry);
}

const clocked = { sla: { target_latency_seconds: 3600 }, review: { mode: 'manual' } } as const;
const clockJob = (task: Task) => `target_latency-${task.task_id}-${task.created_at + 3_600_000}-clock`;

describe('an entry', () => {
  it('becomes the jobs that follow from it, for now and for later', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    await runRelay(db, queues);
    const org = freshOrg(db);
    const task = await addTask(db, org, {
      ...clocked,
      handoff: { callback_url: 'https://receiver.example/', events: ['task.queued'] },
    });
    await emptied(db);
    expect((await jobIds(queues)).sort()).toEqual([clockJob(task), `deliver-${task.task_id}-2`].sort());
    const job = await queues.all.sla.getJob(clockJob(task));
    const dueAt = (job?.timestamp ?? 0) + (job?.delay ?? 0);
    expect(Math.abs(dueAt - (task.created_at + 3_600_000))).toBeLessThan(1000);
  });

  it('relayed twice makes its jobs once', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    await addTask(db, org, { ...clocked, handoff: { callback_url: 'https://receiver.example/' } });
    await addWorker(db, org);
    const { outbox } = orgKeysOf(db.prefix, org);
    const entries = (await db.redis.xrange(outbox, '-', '+')).map(([, fields]) => fields);
    const relay = await runRelay(db, queues);
    await emptied(db);
    const once = (await jobIds(queues)).sort();
    expect(once).toHaveLength(4);
    for (const fields of entries) await db.redis.xadd(outbox, '*', ...fields);
    await expect.poll(() => relay.relayed, { timeout: 15_000 }).toBe(2 * entries.length);
    expect((await jobIds(queues)).sort()).toEqual(once);
  });

  it('that drops a question takes its job away', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    await runRelay(db, queues);
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await offerTo(db, await addTask(db, org, clocked), [worker_id]);
    await emptied(db);
    const expiry = `offer_expiry-${task.task_id}-${task.offers[0]?.expires_at}-${offerIdOf(task, worker_id)}`;
    expect(await jobIds(queues)).toContain(expiry);
    await accept(db, task, worker_id);
    await emptied(db);
    expect(await jobIds(queues)).not.toContain(expiry);
    expect(await jobIds(queues)).toContain(clockJob(task));
  });

  it('of any number is relayed in order of nothing but its coming: 500 at once, over many orgs', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    await Promise.all([runRelay(db, queues), runRelay(db, queues)]);
    const orgs = Array.from({ length: 20 }, () => freshOrg(db));
    await Promise.all(orgs.flatMap((org) => Array.from({ length: 25 }, () => addTask(db, org, clocked))));
    await emptied(db);
    const ids = await jobIds(queues);
    expect(ids).toHaveLength(500);
    expect(new Set(ids).size).toBe(500);
  });
});

describe('when a relay dies', () => {
  it('before it made the jobs, another makes them', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const task = await addTask(db, org, clocked);
    expect(await readAndDie(db, org)).toHaveLength(1);
    await runRelay(db, queues, 200);
    await emptied(db);
    expect(await jobIds(queues)).toEqual([clockJob(task)]);
    const [pending] = await db.redis.xpending(orgKeysOf(db.prefix, org).outbox, 'relay');
    expect(pending).toBe(0);
  });

  it('after it made the jobs and before it said so, they are not made again', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const task = await addTask(db, org, clocked);
    const read = await readAndDie(db, org);
    await queues.add(read.flatMap((entry) => jobsOf(entry, db.clock.now())));
    await runRelay(db, queues, 200);
    await emptied(db);
    expect(await jobIds(queues)).toEqual([clockJob(task)]);
  });

  it('its entries are left alone for as long as it may still be at them', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    await addTask(db, org);
    await readAndDie(db, org);
    await runRelay(db, queues, 60_000);
    // A later entry passes by: the relay is at work, and does not touch the other.
    const task = await addTask(db, org, clocked);
    await expect.poll(() => jobIds(queues), { timeout: 15_000 }).toEqual([clockJob(task)]);
    expect(await outboxLength(db)).toBe(1);
  });
});

describe('a question that is dropped and asked again', () => {
  it('is asked, when both are read together', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await addTask(db, org, clocked);
    const submitted = await workThrough(db, await offerTo(db, task, [worker_id]), worker_id);
    await step(db, submitted, { name: 'rework', feedback: null });
    await runRelay(db, queues);
    await emptied(db);
    expect(await jobIds(queues)).toContain(clockJob(task));
  });

  it('is asked, when another relay comes to the dropping after the asking', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await addTask(db, org, clocked);
    const started = await step(db, await accept(db, await offerTo(db, task, [worker_id]), worker_id), {
      name: 'start',
      worker_id,
    });
    await readAndDie(db, org);
    const submission = { output: 'done', evidence: [], notes: null };
    const submitted = await step(db, started, { name: 'submit', worker_id, submission });
    expect((await readAndDie(db, org)).flatMap((one) => (one.kind === 'task' ? one.cancelled : []))).toEqual([
      expect.objectContaining({ kind: 'target_latency' }),
    ]);
    await step(db, submitted, { name: 'rework', feedback: null });
    await runRelay(db, queues, 500);
    await emptied(db);
    expect(await jobIds(queues)).toContain(clockJob(task));
  });

  it('is asked when a cool-down goes on through the offer to another', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const [a, b] = [await addWorker(db, org), await addWorker(db, org)];
    const decline = async (task: Task, worker_id: string) =>
      step(db, task, { name: 'decline', offer_id: offerIdOf(task, worker_id), worker_id, reason: null });
    const once = await decline(await offerTo(db, await addTask(db, org), [a.worker_id]), a.worker_id);
    const twice = await decline(await offerTo(db, once, [b.worker_id]), b.worker_id);
    await runRelay(db, queues);
    await emptied(db);
    const ids = await jobIds(queues);
    for (const { until } of twice.declines)
      expect(ids).toContain(`match-${twice.task_id}-${until}-cool_down`);
  });

  it('is not asked again when the task has no such question any more', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await addTask(db, org, clocked);
    await workThrough(db, await offerTo(db, task, [worker_id]), worker_id);
    await runRelay(db, queues);
    await emptied(db);
    expect(await jobIds(queues)).not.toContain(clockJob(task));
  });
});

describe('a relay', () => {
  it('goes on when its streams are lost with all that was known of them', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    await runRelay(db, queues);
    const org = freshOrg(db);
    await addTask(db, org);
    await emptied(db);
    await db.redis.del(...(await db.redis.keys(`${db.prefix}:*outbox`)));
    const task = await addTask(db, org, clocked);
    await emptied(db);
    expect(await jobIds(queues)).toContain(clockJob(task));
  });

  it('leaves nothing in hand when it is closed', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const relay = await runRelay(db, queues);
    const org = freshOrg(db);
    await Promise.all(Array.from({ length: 100 }, () => addTask(db, org, clocked)));
    await relay.close();
    const [pending] = await db.redis.xpending(orgKeysOf(db.prefix, org).outbox, 'relay');
    expect(pending).toBe(0);
    expect((await jobIds(queues)).length + (await outboxLength(db))).toBe(100);
  });

  it('tells of a worker who goes away or is removed', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    await runRelay(db, queues);
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await offerTo(db, await addTask(db, org), [worker_id]);
    await changeWorker(db, org, worker_id, { availability: 'away' });
    await changeWorker(db, org, worker_id, null);
    await emptied(db);
    const jobs = (await queues.all.lifecycle.getJobs(['waiting', 'prioritized'])).filter(
      (job) => job.name === 'worker',
    );
    const told = jobs.map(
      (job) => job.data as { worker_id: string; version: number; orphaned_tasks: string[] },
    );
    told.sort((x, y) => x.version - y.version);
    expect(told.map(({ orphaned_tasks }) => orphaned_tasks)).toEqual([[], [task.task_id]]);
    expect(new Set(told.map((one) => one.worker_id))).toEqual(new Set([worker_id]));
  });
});
