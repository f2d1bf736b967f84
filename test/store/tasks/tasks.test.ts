// Stored tasks: the same before and after packing, in the right indexes, with outbox entries, feed entries and pending
// deliveries.
import { describe, expect, it } from 'vitest';
import { firstBroken } from '../../../src/state/tasks/history.ts';
import { checksOf } from '../../../src/state/tasks/scheduled-checks.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { readFeed } from '../../../src/store/tasks/feed.ts';
import { loadEvent, loadTask, loadTasks } from '../../../src/store/tasks/tasks.ts';
import {
  accept,
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  historyOf,
  indexErrors,
  offerTo,
  openTestDb,
  taskOf,
  workThrough,
} from '../../support/db.ts';
import { rfc3339 } from '../../support/tasks.ts';

const db = await openTestDb();
const callback_url = 'https://receiver.example/hook';

/** All versions of a task, as the changes returned them. */
async function wholeLife(org: string): Promise<Task[]> {
  const { worker_id } = await addWorker(db, org);
  const queued = await addTask(db, org, {
    sla: { urgency: 'high', deadline: rfc3339(db.clock.now() + 600_000), target_latency_seconds: 300 },
    handoff: { callback_url },
    more: { context: { data: { ü: [1, { deep: '\u0000"' }] } }, metadata: { a: '' } },
  });
  const offered = await offerTo(db, queued, [worker_id]);
  const accepted = await accept(db, offered, worker_id);
  const started = await applyCommands(db, accepted, { name: 'start', worker_id });
  const submission = { output: { any: ['thing', null] }, evidence: [], notes: 'ü' };
  const submitted = await applyCommands(db, started, { name: 'submit', worker_id, submission });
  const completed = await applyCommands(db, submitted, { name: 'verify' }, { name: 'complete' });
  return [queued, offered, accepted, started, submitted, completed];
}

describe('a task', () => {
  it('is loaded as it was stored, open or packed', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    let task = await addTask(db, org, { more: { metadata: { a: 'ü' } } });
    const same = async () => expect(await taskOf(db, org, task.task_id)).toEqual(task);
    await same();
    task = await offerTo(db, task, [worker_id]);
    await same();
    task = await workThrough(db, task, worker_id);
    await same();
    task = await applyCommands(db, task, { name: 'verify' }, { name: 'complete' });
    await same();
  });

  it('has the second form only with a not_before, which older processes would ignore', async () => {
    const org = freshOrg(db);
    const formOf = (task: Task) => db.redis.hget(orgKeysOf(db.prefix, org).task(task.task_id), 'f');
    const later = await addTask(db, org, { more: { not_before: rfc3339(db.clock.now() + 60_000) } });
    expect(await formOf(later)).toBe('2');
    expect(await formOf(await addTask(db, org))).toBe('1');
    const ended = await applyCommands(db, later, { name: 'cancel', reason: null });
    expect(await taskOf(db, org, later.task_id)).toEqual(ended);
  });

  it('is one key when it is final', async () => {
    const org = freshOrg(db);
    const task = (await wholeLife(org)).at(-1);
    if (task === undefined) throw new Error('no task');
    const keys = orgKeysOf(db.prefix, org);
    expect((await db.redis.hkeys(keys.task(task.task_id))).sort()).toEqual(['e', 'f', 'v', 'w', 'z']);
    expect(await db.redis.exists(keys.history(task.task_id))).toBe(0);
  });

  it('is in the right indexes in every state', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const queued = await addTask(db, org, { sla: { target_latency_seconds: 300 } });
    expect(await indexErrors(db, queued)).toEqual([]);
    const offered = await offerTo(db, queued, [worker_id]);
    expect(await indexErrors(db, offered)).toEqual([]);
    const started = await applyCommands(db, await accept(db, offered, worker_id), {
      name: 'start',
      worker_id,
    });
    expect(await indexErrors(db, started)).toEqual([]);
    const back = await applyCommands(db, started, { name: 'release', worker_id, reason: null });
    expect(await indexErrors(db, back)).toEqual([]);
    expect(await indexErrors(db, await applyCommands(db, back, { name: 'cancel', reason: null }))).toEqual(
      [],
    );
  });

  it('is due at its next scheduled check', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const { due } = orgKeysOf(db.prefix, org);
    const queued = await addTask(db, org, { sla: { target_latency_seconds: 300 } });
    const dueAt = () => db.redis.zscore(due, `${org} ${queued.task_id}`).then(Number);
    expect(await dueAt()).toBe(queued.created_at + 300_000);
    const offered = await offerTo(db, queued, [worker_id], 5_000);
    expect(await dueAt()).toBe(offered.offers[0]?.expires_at);
    await accept(db, offered, worker_id);
    expect(await dueAt()).toBe(queued.created_at + 300_000);
  });

  it('that does not exist is null, in the order of the ids', async () => {
    const org = freshOrg(db);
    const task = await addTask(db, org);
    const found = await loadTasks(db, org, ['nothing', task.task_id, 'nothing']);
    expect(found.map((one) => one?.task.task_id ?? null)).toEqual([null, task.task_id, null]);
    expect(await loadTasks(db, org, [])).toEqual([]);
    expect(await loadTask(db, freshOrg(db), task.task_id)).toBeNull();
  });
});

describe('the history', () => {
  it('is complete at every step and the same after packing', async () => {
    const org = freshOrg(db);
    const views = await wholeLife(org);
    const last = views.at(-1);
    if (last === undefined) throw new Error('no task');
    const history = await historyOf(db, last);
    expect(firstBroken(history)).toBeNull();
    expect(history.map((one) => one.sequence)).toEqual(history.map((_, index) => index + 1));
    expect(history).toHaveLength(last.sequence);
    expect(history.map((one) => one.status)).toEqual([
      'created',
      'queued',
      'matched',
      'offered',
      'accepted',
      'started',
      'submitted',
      'verified',
      'completed',
    ]);
    const stored = await loadTask(db, org, last.task_id);
    expect(stored?.head).toBe(history.at(-1)?.hash);
  });

  it('shows after packing where an entry was removed before', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const submitted = await workThrough(
      db,
      await offerTo(db, await addTask(db, org), [worker_id]),
      worker_id,
    );
    const removed = await db.redis.rpop(orgKeysOf(db.prefix, org).history(submitted.task_id));
    expect(removed).toContain('task.submitted');
    const over = await applyCommands(db, submitted, { name: 'verify' }, { name: 'complete' });
    expect(firstBroken(await historyOf(db, over))).toBe(submitted.sequence);
  });

  it('returns each event alone as in the whole history', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const open = await offerTo(db, await addTask(db, org), [worker_id]);
    const over = (await wholeLife(freshOrg(db))).at(-1);
    if (over === undefined) throw new Error('no task');
    for (const task of [open, over]) {
      const history = await historyOf(db, task);
      for (const entry of history) {
        const found = await loadEvent(db, task.org_id, task.task_id, entry.sequence);
        expect(found?.event).toEqual(entry);
        expect(found?.task).toEqual(task);
      }
      expect(await loadEvent(db, task.org_id, task.task_id, history.length + 1)).toBeNull();
    }
    expect(await loadEvent(db, org, 'nothing', 1)).toBeNull();
  });
});

describe('a commit writes', () => {
  it('the scheduled and cancelled checks and the deliveries of its version to the outbox', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const { outbox } = orgKeysOf(db.prefix, org);
    const entries = async (taskId: string) =>
      (await db.redis.xrange(outbox, '-', '+'))
        .map(([, fields]) => JSON.parse(fields[1] ?? '{}'))
        .filter((one) => one.task_id === taskId);
    const queued = await addTask(db, org, {
      handoff: { callback_url, events: ['task.queued', 'task.offered'] },
    });
    const offered = await offerTo(db, queued, [worker_id]);
    await accept(db, offered, worker_id);
    // Nothing follows from the acceptance: nobody listens, and its time to start is not over soon.
    const [first, second, ...more] = await entries(queued.task_id);
    expect(more).toEqual([]);
    expect(first).toEqual({
      kind: 'task',
      org_id: org,
      task_id: queued.task_id,
      version: 1,
      scheduled: checksOf(queued),
      cancelled: [],
      deliveries: [2],
      events: [],
      first: 0,
      at: queued.updated_at,
      pool: null,
    });
    expect(second).toMatchObject({
      version: 2,
      scheduled: checksOf(offered),
      cancelled: checksOf(queued),
      deliveries: [4],
    });
  });

  it('a pending delivery for each event that the receiver wants, and no other', async () => {
    const org = freshOrg(db);
    const { pendingDeliveries: owed } = orgKeysOf(db.prefix, org);
    const mine = async (id: string) =>
      (await db.redis.zrange(owed, 0, '-1')).filter((one) => one.includes(id)).sort();
    const told = await addTask(db, org, { handoff: { callback_url } });
    expect(await mine(told.task_id)).toEqual([1, 2].map((n) => `${org} ${told.task_id} ${n}`));
    const some = await addTask(db, org, { handoff: { callback_url, events: ['task.cancelled'] } });
    expect(await mine(some.task_id)).toEqual([]);
    await applyCommands(db, some, { name: 'cancel', reason: null });
    expect(await mine(some.task_id)).toEqual([`${org} ${some.task_id} 3`]);
    const silent = await addTask(db, org, { handoff: {} });
    expect(await mine(silent.task_id)).toEqual([]);
  });

  it('every event to the feed, in the order of the commits', async () => {
    const org = freshOrg(db);
    const last = (await wholeLife(org)).at(-1);
    if (last === undefined) throw new Error('no task');
    const history = await historyOf(db, last);
    const { references: feed, more } = await readFeed(db, org, null, 100);
    expect(more).toBe(false);
    expect(feed.map(({ task_id, sequence, type }) => [task_id, sequence, type])).toEqual(
      history.map(({ sequence, type }) => [last.task_id, sequence, type]),
    );
    // Continuing at any position, also between events of one commit, repeats and skips nothing.
    for (const [index, one] of feed.entries())
      expect((await readFeed(db, org, one.position, 100)).references).toEqual(feed.slice(index + 1));
    expect(await readFeed(db, freshOrg(db), null, 100)).toEqual({ references: [], more: false });
  });
});
