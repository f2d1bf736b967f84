// The relay: every outbox entry adds its jobs once, whichever process dies and in whatever order relays handle entries.
import type { Job } from 'bullmq';
import { describe, expect, it } from 'vitest';
import { jobsOf } from '../../src/queues/outbox-jobs.ts';
import type { OutboxEntry } from '../../src/state/outbox.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { serverOf } from '../../src/store/redis/servers.ts';
import {
  accept,
  addTask,
  addWorker,
  applyCommands,
  changeWorker,
  freshOrg,
  offerIdOf,
  offerTo,
  openTestDb,
  type TestDb,
  workThrough,
} from '../support/db.ts';
import { momentJobId, openQueues, outboxLength, runRelay } from '../support/processors.ts';
import { freshPrefix, subscribersOf } from '../support/redis.ts';
import type { InputChange } from '../support/tasks.ts';

const shared = await openTestDb();
/** A store with its own outbox, so that tests do not see each other's unread entries. */
const ownStore = (): TestDb => ({ ...shared, prefix: freshPrefix() });
const emptied = (db: Db) => expect.poll(() => outboxLength(db), { timeout: 15_000 }).toBe(0);

/** Ids of all jobs, waiting and delayed. */
async function jobIds(queues: ReturnType<typeof openQueues>): Promise<string[]> {
  const lists = await Promise.all(
    Object.values(queues.shards[0].all).map((queue) => queue.getJobs(['waiting', 'prioritized', 'delayed'])),
  );
  return lists.flat().map((job) => job.id ?? '');
}

/** Another relay reads the new entries and dies before it handles them. */
async function readAndDie(db: Db, orgId: string, count = 1000): Promise<OutboxEntry[]> {
  const { outbox } = orgKeysOf(db.prefix, orgId);
  await db.redis.xgroup('CREATE', outbox, 'relay', '0', 'MKSTREAM').catch(() => undefined);
  const reply = await db.redis.xreadgroup('GROUP', 'relay', 'dead', 'COUNT', count, 'STREAMS', outbox, '>');
  const [stream] = (reply ?? []) as [string, [string, string[]][]][];
  return (stream?.[1] ?? []).map(([, fields]) => JSON.parse(fields[1] ?? '') as OutboxEntry);
}

const clocked = { sla: { target_latency_seconds: 30 }, review: { mode: 'manual' } } as const;
const clockJob = (task: Task) => momentJobId(task.org_id, task.created_at + 30_000);

/** A task whose creation has one job. */
const delivered: InputChange = {
  handoff: { callback_url: 'https://receiver.example/', events: ['task.queued'] },
};

describe('an outbox entry', () => {
  it('adds its jobs, immediate and delayed', async () => {
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
    const job = await queues.shards[0].all.sla.getJob(clockJob(task));
    const dueAt = (job?.timestamp ?? 0) + (job?.delay ?? 0);
    expect(Math.abs(dueAt - (task.created_at + 30_000))).toBeLessThan(1000);
  });

  it('relayed twice adds its jobs once', async () => {
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

  it('that cancels a match after a cool-down removes its job, and keeps that of a moment', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    await runRelay(db, queues);
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await offerTo(db, await addTask(db, org, clocked), [worker_id]);
    const offer_id = offerIdOf(task, worker_id);
    const declined = await applyCommands(db, task, { name: 'decline', offer_id, worker_id, reason: null });
    await emptied(db);
    const match = `match-${task.task_id}-${declined.declines[0]?.until}-cool_down`;
    expect(await jobIds(queues)).toContain(match);
    await applyCommands(db, declined, { name: 'cancel', reason: null });
    await emptied(db);
    expect(await jobIds(queues)).not.toContain(match);
    expect(await jobIds(queues)).toContain(clockJob(task));
  });

  it('is relayed once by two relays, for 500 entries of many orgs at once', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    await Promise.all([runRelay(db, queues), runRelay(db, queues)]);
    const orgs = Array.from({ length: 20 }, () => freshOrg(db));
    await Promise.all(orgs.flatMap((org) => Array.from({ length: 25 }, () => addTask(db, org, delivered))));
    await emptied(db);
    const ids = await jobIds(queues);
    expect(ids).toHaveLength(500);
    expect(new Set(ids).size).toBe(500);
  });
});

describe('when a relay dies', () => {
  it('before it added the jobs, another relay adds them', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const task = await addTask(db, org, clocked);
    expect(await readAndDie(db, org)).toHaveLength(1);
    await runRelay(db, queues, { abandonedAfter: 200 });
    await emptied(db);
    expect(await jobIds(queues)).toEqual([clockJob(task)]);
    const [pending] = await db.redis.xpending(orgKeysOf(db.prefix, org).outbox, 'relay');
    expect(pending).toBe(0);
  });

  it('after it added the jobs and before it acknowledged, they are not added again', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const task = await addTask(db, org, clocked);
    const read = await readAndDie(db, org);
    await queues.add(read.flatMap((entry) => jobsOf(entry, db.clock.now())));
    await runRelay(db, queues, { abandonedAfter: 200 });
    await emptied(db);
    expect(await jobIds(queues)).toEqual([clockJob(task)]);
  });

  it('its entries are not claimed while it may still be processing them', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    await addTask(db, org);
    await readAndDie(db, org);
    await runRelay(db, queues, { abandonedAfter: 60_000 });
    // A later entry is relayed: the relay is running and does not claim the other.
    const task = await addTask(db, org, clocked);
    await expect.poll(() => jobIds(queues), { timeout: 15_000 }).toEqual([clockJob(task)]);
    expect(await outboxLength(db)).toBe(1);
  });
});

describe('a check that is cancelled and scheduled again', () => {
  it('has a job when both entries are read together', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await addTask(db, org, clocked);
    const submitted = await workThrough(db, await offerTo(db, task, [worker_id]), worker_id);
    await applyCommands(db, submitted, { name: 'rework', feedback: null });
    await runRelay(db, queues);
    await emptied(db);
    expect(await jobIds(queues)).toContain(clockJob(task));
  });

  it('has a job when another relay handles the cancelling entry last', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await addTask(db, org, {
      ...clocked,
      handoff: { callback_url: 'https://receiver.example/', events: ['task.submitted'] },
    });
    const started = await applyCommands(
      db,
      await accept(db, await offerTo(db, task, [worker_id]), worker_id),
      {
        name: 'start',
        worker_id,
      },
    );
    await readAndDie(db, org);
    const submission = { output: 'done', evidence: [], notes: null };
    const submitted = await applyCommands(db, started, { name: 'submit', worker_id, submission });
    expect((await readAndDie(db, org)).flatMap((one) => (one.kind === 'task' ? one.cancelled : []))).toEqual([
      expect.objectContaining({ kind: 'target_latency' }),
    ]);
    await applyCommands(db, submitted, { name: 'rework', feedback: null });
    await runRelay(db, queues, { abandonedAfter: 500 });
    await emptied(db);
    expect(await jobIds(queues)).toContain(clockJob(task));
  });

  it('has a job when a cool-down continues during an offer to another worker', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const org = freshOrg(db);
    const [a, b] = [await addWorker(db, org), await addWorker(db, org)];
    const decline = async (task: Task, worker_id: string) =>
      applyCommands(db, task, {
        name: 'decline',
        offer_id: offerIdOf(task, worker_id),
        worker_id,
        reason: null,
      });
    const once = await decline(await offerTo(db, await addTask(db, org), [a.worker_id]), a.worker_id);
    const twice = await decline(await offerTo(db, once, [b.worker_id]), b.worker_id);
    await runRelay(db, queues);
    await emptied(db);
    const ids = await jobIds(queues);
    for (const { until } of twice.declines)
      expect(ids).toContain(`match-${twice.task_id}-${until}-cool_down`);
  });
});

describe('a relay', () => {
  it('continues when its streams and consumer groups are lost', async () => {
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

  it('is told of an entry by its commit, also after it has lost the connection for that', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    // The count that finds what it was not told of comes too late for this test.
    await runRelay(db, queues, { countEvery: 60_000 });
    const org = freshOrg(db);
    const { outbox } = orgKeysOf(db.prefix, org);
    await addTask(db, org);
    await emptied(db);
    const server = serverOf(db.redis, outbox);
    const clients = String(await server?.client('LIST', 'TYPE', 'PUBSUB'));
    const ids = clients.split('\n').map((line) => /^id=(\d+) .* ssub=[1-9]/.exec(line)?.[1]);
    // Those of other tests too, which must recover as well.
    for (const id of ids) if (id !== undefined) await server?.client('KILL', 'ID', id);
    await expect.poll(() => subscribersOf(db.redis, outbox), { timeout: 15_000 }).toBe(1);
    await addTask(db, org);
    await emptied(db);
  });

  it('finds an entry that it was not told of within about a second', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    await runRelay(db, queues, { countEvery: 1000 });
    const org = freshOrg(db);
    const { outbox } = orgKeysOf(db.prefix, org);
    await addTask(db, org);
    await emptied(db);
    const entry = { kind: 'pool', org_id: org, pool_id: 'gone', at: db.clock.now() };
    await db.redis.xadd(outbox, '*', 'd', JSON.stringify(entry), 'f', 1);
    await expect.poll(() => db.redis.xlen(outbox), { timeout: 5000, interval: 20 }).toBe(0);
  });

  it('has no pending entries after it is closed', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    const relay = await runRelay(db, queues);
    const org = freshOrg(db);
    await Promise.all(Array.from({ length: 100 }, () => addTask(db, org, delivered)));
    await expect.poll(() => relay.relayed, { interval: 1 }).toBeGreaterThan(0);
    await relay.close();
    const [pending] = await db.redis.xpending(orgKeysOf(db.prefix, org).outbox, 'relay');
    expect(pending).toBe(0);
    expect((await jobIds(queues)).length + (await outboxLength(db))).toBe(100);
  });

  it('adds a job for a worker who goes away or is removed', async () => {
    const db = ownStore();
    const queues = openQueues(db);
    await runRelay(db, queues);
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await offerTo(db, await addTask(db, org), [worker_id]);
    await changeWorker(db, org, worker_id, { availability: 'away' });
    await changeWorker(db, org, worker_id, null);
    await emptied(db);
    const jobs = (await queues.shards[0].all.lifecycle.getJobs(['waiting', 'prioritized'])).filter(
      (job) => job.name === 'worker',
    );
    // The id of a job ends with the version of the worker.
    const versionOf = (job: Job) => Number(job.id?.split('-').at(-1));
    jobs.sort((x, y) => versionOf(x) - versionOf(y));
    const told = jobs.map((job) => job.data as { worker_id: string; orphaned_tasks: string[] });
    expect(told.map(({ orphaned_tasks }) => orphaned_tasks)).toEqual([[], [task.task_id]]);
    expect(new Set(told.map((one) => one.worker_id))).toEqual(new Set([worker_id]));
  });
});
