// Tasks are kept for their retention time and then removed completely: the tests search every remaining key and value
// for the task's id.
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, describe, expect, it } from 'vitest';
import { Retention } from '../../src/processors/retention.ts';
import type { Task, TaskInput } from '../../src/state/tasks/task.ts';
import { createTask } from '../../src/store/commands/change.ts';
import { addEvidence, stageEvidence } from '../../src/store/evidence/evidence.ts';
import { openEvidenceFiles } from '../../src/store/evidence/files.ts';
import { orgWrites } from '../../src/store/identity/orgs.ts';
import { sweepEvidence } from '../../src/store/maintenance/evidence-sweep.ts';
import { commit, EMPTY_CHANGE } from '../../src/store/redis/commit.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { newNumberedId } from '../../src/store/redis/ids.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import { FEED_KEPT, readFeed } from '../../src/store/tasks/feed.ts';
import { loadTask } from '../../src/store/tasks/tasks.ts';
import { loadDeliveries, recordDelivery } from '../../src/store/webhooks/deliveries.ts';
import { leaseDelivery } from '../../src/store/webhooks/delivery-lease.ts';
import type { Delivery } from '../../src/store/webhooks/delivery-record.ts';
import {
  accept,
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  historyOf,
  offerTo,
  openTestDb,
  taskOf,
} from '../support/db.ts';
import { ERRORS_ONLY, withClockAhead } from '../support/processors.ts';
import { recordAsBefore } from '../support/retention.ts';
import { type InputChange, sampleInput } from '../support/tasks.ts';
import { filesIn } from '../support/uploads.ts';

const db = await openTestDb();
const folder = await mkdtemp(join(tmpdir(), 'biolayer-retention-'));
const files = await openEvidenceFiles(folder);
afterAll(() => rm(folder, { recursive: true, force: true }));

const SECOND = 1000;
const DAY = 24 * 3600 * SECOND;
const callback_url = 'https://receiver.example/hook';
const keep = (retain_days: number, log_required = true): Partial<Pick<TaskInput, 'audit'>> => ({
  audit: { retain_days, log_required },
});

const run = (from: Db) => new Retention({ db: from, log: ERRORS_ONLY }).run();
const cancel = (task: Task) => applyCommands(db, task, { name: 'cancel', reason: null });

/** A completed task with an offer, an assignment and evidence. */
async function completed(orgId: string, change: InputChange = {}): Promise<Task> {
  const { worker_id } = await addWorker(db, orgId);
  const task = await accept(db, await offerTo(db, await addTask(db, orgId, change), [worker_id]), worker_id);
  const incoming = await files.receive();
  await incoming.fill(Readable.from([randomBytes(100)]), () => undefined);
  const staged = await stageEvidence(db, files, orgId, task.task_id, incoming);
  await incoming.close();
  const to = { org_id: orgId, task_id: task.task_id, worker_id, incarnation: '', limit: 1e6 };
  const what = { name: 'a.pdf', media_type: 'application/pdf' };
  await addEvidence(db, to, staged, what, () => EMPTY_CHANGE);
  await applyCommands(db, task, { name: 'start', worker_id });
  const message = { text: 'hello', is_question: false, answers: null, message_id: 'message' };
  await applyCommands(db, task, { name: 'message', author: { kind: 'worker', id: worker_id }, ...message });
  const submission = { output: 'done', evidence: [], notes: null };
  return applyCommands(
    db,
    task,
    { name: 'submit', worker_id, submission },
    { name: 'verify' },
    { name: 'complete' },
  );
}

/** A rejected task, kept for a day, whose worker disputes the rejection. */
async function disputed(orgId: string): Promise<Task> {
  const { worker_id } = await addWorker(db, orgId);
  const change: InputChange = { more: keep(1), review: { mode: 'manual' } };
  const task = await accept(db, await offerTo(db, await addTask(db, orgId, change), [worker_id]), worker_id);
  const submission = { output: 'done', evidence: [], notes: null };
  await applyCommands(db, task, { name: 'start', worker_id }, { name: 'submit', worker_id, submission });
  await applyCommands(db, task, { name: 'reject', feedback: 'no' });
  return applyCommands(db, task, { name: 'dispute', worker_id, text: 'It is right.' });
}

/** Settles the pending deliveries of the task. */
async function deliver(task: Task): Promise<void> {
  for (let sequence = 1; sequence <= task.sequence; sequence += 1) {
    const target = { org_id: task.org_id, task_id: task.task_id, sequence };
    const leased = await leaseDelivery(db, target, 1000);
    if (leased === null || 'dueAt' in leased) continue;
    const { score } = leased;
    const delivery: Delivery = { status: 'succeeded', attempts: [] };
    const outcome = { score, delivery, nextAt: null, stopsCallback: false };
    await recordDelivery(db, target, { ...outcome, eventAt: 0, failingLimit: 1000 });
  }
}

/** Every key, or key and value, in Redis that contains the id of the task, except in the outbox. */
async function tracesOf({ task_id }: Task): Promise<string[]> {
  const found: string[] = [];
  for (const key of await db.redis.keys(`${db.prefix}:*`)) {
    if (key.endsWith(':outbox')) continue;
    const values: unknown = await {
      string: () => db.redis.get(key),
      hash: () => db.redis.hgetall(key),
      list: () => db.redis.lrange(key, 0, '-1'),
      set: () => db.redis.smembers(key),
      zset: () =>
        db.redis.zrangeBuffer(key, 0, '-1').then((all) => all.map((one) => `${one} ${uuidIn(one)}`)),
      stream: () => db.redis.xrange(key, '-', '+'),
      none: () => '',
    }[(await db.redis.type(key)) as 'string']();
    if (`${key} ${JSON.stringify(values)}`.includes(task_id)) found.push(key);
  }
  return found;
}

/** The id that bytes may begin with, as text. */
function uuidIn(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5 ');
}

describe('a finished task', () => {
  it('is purged with all its records after its retention time, and nothing else is', async () => {
    const org = freshOrg(db);
    const other = await completed(org, { more: keep(300) });
    const task = await completed(org, { more: keep(2), handoff: { callback_url } });
    await deliver(task);
    const open = await addTask(db, org);
    const traces = await tracesOf(task);
    expect(traces.length).toBeGreaterThan(8);
    expect(traces).toContain(orgKeysOf(db.prefix, org).purges);

    const end = task.updated_at + 2 * DAY - db.clock.now();
    expect(await run(withClockAhead(db, end - SECOND))).toEqual({ tasks: 0, logs: 0 });
    expect(await loadTask(db, org, task.task_id)).not.toBeNull();
    expect(await run(withClockAhead(db, end + SECOND))).toEqual({ tasks: 1, logs: 0 });
    await sweepEvidence(db, files);
    expect(await tracesOf(task)).toEqual([]);
    expect((await filesIn(folder)).filter((one) => one.includes(task.task_id))).toEqual([]);

    expect(await taskOf(db, org, other.task_id)).toEqual(other);
    expect((await filesIn(folder)).filter((one) => one.includes(other.task_id))).toHaveLength(1);
    const { references } = await readFeed(db, org, null, 100);
    expect([...new Set(references.map((one) => one.task_id))]).toEqual([other.task_id, open.task_id]);
    expect(await run(withClockAhead(db, end + SECOND))).toEqual({ tasks: 0, logs: 0 });
  });

  it('is purged once when several processes purge it at the same time', async () => {
    const org = freshOrg(db);
    const tasks = await Promise.all(Array.from({ length: 30 }, () => addTask(db, org, { more: keep(1) })));
    await Promise.all(tasks.map(cancel));
    const then = withClockAhead(db, 2 * DAY);
    const purged = await Promise.all([run(then), run(then), run(then)]);
    expect(purged.reduce((sum, one) => sum + one.tasks, 0)).toBe(30);
    for (const task of tasks) expect(await loadTask(db, org, task.task_id)).toBeNull();
    expect(await db.redis.zcard(orgKeysOf(db.prefix, org).index('all'))).toBe(0);
  });

  it('that was a gold task of a type is purged like any other, and no number counts it', async () => {
    const org = freshOrg(db);
    const input = sampleInput({ org_id: org, more: keep(1) });
    const created = await createTask(db, input, { org_id: org, actor: 'system', gold: { input } });
    const keys = orgKeysOf(db.prefix, org);
    const [id = ''] = await db.redis.zrange(keys.index('gold:true'), 0, '-1');
    const gold = await taskOf(db, org, id);
    expect(created).toMatchObject({ ok: true, task: { task_id: gold.gold?.came_with } });
    await cancel(gold);
    expect(await run(withClockAhead(db, 2 * DAY))).toEqual({ tasks: 1, logs: 0 });
    expect(await tracesOf(gold)).toEqual([]);
    expect(await db.redis.exists(keys.index('gold:true'))).toBe(0);
    expect(await db.redis.lrange(keys.statsLog, 0, -1)).not.toContainEqual(expect.stringContaining(org));
  });

  it('is purged only after its last event was delivered or given up', async () => {
    const org = freshOrg(db);
    const task = await cancel(await addTask(db, org, { more: keep(1), handoff: { callback_url } }));
    expect(await run(withClockAhead(db, 2 * DAY))).toEqual({ tasks: 0, logs: 0 });
    await deliver(task);
    expect(await run(withClockAhead(db, 2 * DAY))).toEqual({ tasks: 0, logs: 0 });
    expect(await run(withClockAhead(db, 2 * DAY + 20 * SECOND))).toEqual({ tasks: 1, logs: 0 });
    expect(await tracesOf(task)).toEqual([]);
  });

  it('is kept while a dispute is open, for 30 more days at most', async () => {
    const org = freshOrg(db);
    const [left, decided] = [await disputed(org), await disputed(org)];
    const due = left.status_changed_at + DAY - db.clock.now() + SECOND;
    expect(await run(withClockAhead(db, due))).toEqual({ tasks: 0, logs: 0 });
    await applyCommands(db, decided, { name: 'resolve_dispute', decision: 'uphold', text: null });
    expect(await run(withClockAhead(db, due + DAY))).toEqual({ tasks: 1, logs: 0 });
    expect(await tracesOf(decided)).toEqual([]);
    expect(await run(withClockAhead(db, due + 29.9 * DAY))).toEqual({ tasks: 0, logs: 0 });
    expect(await run(withClockAhead(db, due + 30 * DAY))).toEqual({ tasks: 1, logs: 0 });
    expect(await loadTask(db, org, left.task_id)).toBeNull();
  });

  it('that cannot be read does not delay others', async () => {
    const org = freshOrg(db);
    const [bad, good] = [
      await addTask(db, org, { more: keep(1) }),
      await addTask(db, org, { more: keep(1) }),
    ];
    await cancel(bad);
    await cancel(good);
    await db.redis.hset(orgKeysOf(db.prefix, org).task(bad.task_id), 'z', 'spoilt');
    expect(await run(withClockAhead(db, 2 * DAY))).toEqual({ tasks: 1, logs: 0 });
    expect(await tracesOf(good)).toEqual([]);
    expect(await run(withClockAhead(db, 2 * DAY))).toEqual({ tasks: 0, logs: 0 });
    await db.redis.del(orgKeysOf(db.prefix, org).task(bad.task_id));
  });
});

describe('a task with log_required false', () => {
  it('loses its history once it is final and its events are delivered, and is itself kept', async () => {
    const org = freshOrg(db);
    const task = await completed(org, { more: keep(5, false), handoff: { callback_url } });
    const soon = withClockAhead(db, 20 * SECOND);
    expect(await run(soon)).toEqual({ tasks: 0, logs: 0 });
    expect(await historyOf(db, task)).toHaveLength(task.sequence);
    await deliver(task);
    expect((await loadDeliveries(db, org, task.task_id)).size).toBeGreaterThan(0);
    expect(await run(withClockAhead(db, 40 * SECOND))).toEqual({ tasks: 0, logs: 1 });
    expect(await historyOf(db, task)).toEqual([]);
    expect((await loadDeliveries(db, org, task.task_id)).size).toBe(0);
    expect(await taskOf(db, org, task.task_id)).toEqual(task);
    expect((await readFeed(db, org, null, 100)).references).toEqual([]);
    expect(await run(withClockAhead(db, 6 * DAY))).toEqual({ tasks: 1, logs: 0 });
    await sweepEvidence(db, files);
    expect(await tracesOf(task)).toEqual([]);
  });

  it('is purged in one step when task and history are due', async () => {
    const org = freshOrg(db);
    const task = await cancel(await addTask(db, org, { more: keep(1, false) }));
    expect(await run(withClockAhead(db, 2 * DAY))).toEqual({ tasks: 1, logs: 0 });
    expect(await tracesOf(task)).toEqual([]);
  });
});

describe('a purge that an earlier version recorded', () => {
  it('is made in time, with those of this version', async () => {
    const org = newNumberedId(db.clock.now(), 77);
    const before = await completed(org, { more: keep(1) });
    const now = await completed(org, { more: keep(1) });
    expect(await recordAsBefore(db, before)).toEqual([`${org} ${before.task_id}`]);
    expect(await run(withClockAhead(db, DAY - 10 * SECOND))).toEqual({ tasks: 0, logs: 0 });
    expect(await run(withClockAhead(db, DAY + 10 * SECOND))).toEqual({ tasks: 2, logs: 0 });
    await sweepEvidence(db, files);
    expect(await tracesOf(before)).toEqual([]);
    expect(await tracesOf(now)).toEqual([]);
  });

  it('is made of the history alone, and then of the task', async () => {
    const org = freshOrg(db);
    const task = await cancel(await addTask(db, org, { more: keep(1, false) }));
    expect(await recordAsBefore(db, task)).toEqual([`${org} ${task.task_id}`, `${org} ${task.task_id} log`]);
    expect(await run(withClockAhead(db, SECOND))).toEqual({ tasks: 0, logs: 1 });
    expect(await taskOf(db, org, task.task_id)).toEqual(task);
    expect(await run(withClockAhead(db, DAY + SECOND))).toEqual({ tasks: 1, logs: 0 });
    expect(await tracesOf(task)).toEqual([]);
  });

  it('leaves nothing when it was due before that of its history', async () => {
    const org = freshOrg(db);
    const task = await cancel(await addTask(db, org, { more: keep(1, false) }));
    await recordAsBefore(db, task);
    expect(await run(withClockAhead(db, 2 * DAY))).toEqual({ tasks: 1, logs: 0 });
    expect(await tracesOf(task)).toEqual([]);
  });

  it('waits for deliveries and for an open dispute', async () => {
    const org = freshOrg(db);
    const waits = await cancel(await addTask(db, org, { more: keep(1), handoff: { callback_url } }));
    const held = await disputed(org);
    for (const task of [waits, held]) await recordAsBefore(db, task);
    expect(await run(withClockAhead(db, 2 * DAY))).toEqual({ tasks: 0, logs: 0 });
    await deliver(waits);
    expect(await run(withClockAhead(db, 2 * DAY + 20 * SECOND))).toEqual({ tasks: 1, logs: 0 });
    expect(await tracesOf(waits)).toEqual([]);
    expect(await loadTask(db, org, held.task_id)).not.toBeNull();
    expect(await run(withClockAhead(db, 32 * DAY))).toEqual({ tasks: 1, logs: 0 });
    expect(await tracesOf(held)).toEqual([]);
  });
});

describe("an org's feed", () => {
  it('goes back 30 days, also when no new events arrive', async () => {
    const org = freshOrg(db);
    const now = db.clock.now();
    const bare = { org_id: org, version: 1, name: 'Quiet', webhook_secrets: [] };
    await commit(db.redis, orgWrites(db, 0, { ...bare, created_at: now, updated_at: now }));
    for (let index = 0; index < 250; index += 1) await addTask(db, org);
    const { feed } = orgKeysOf(db.prefix, org);
    await new Retention({ db: withClockAhead(db, FEED_KEPT - 60 * SECOND), log: ERRORS_ONLY }).trimFeeds();
    expect(await db.redis.xlen(feed)).toBe(250);
    await new Retention({ db: withClockAhead(db, FEED_KEPT + 60 * SECOND), log: ERRORS_ONLY }).trimFeeds();
    expect(await db.redis.xlen(feed)).toBe(0);
  });
});
