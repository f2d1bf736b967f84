// Changes of tasks: of two made on one view one wins and the other is decided anew; a worker is never
// booked beyond their capacity; an offer made to many is won by one.
import { describe, expect, it } from 'vitest';
import { firstBroken } from '../../../src/state/tasks/history.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { changeTask, createTask } from '../../../src/store/commands/change.ts';
import { newId } from '../../../src/store/redis/ids.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { loadTask, loadWithEntries, type StoredTask } from '../../../src/store/tasks/tasks.ts';
import {
  accept,
  addTask,
  addWorker,
  applyCommands,
  changeWorker,
  freshOrg,
  historyOf,
  indexErrors,
  offerIdOf,
  offerTo,
  openTestDb,
  taskOf,
  workerOf,
  workThrough,
} from '../../support/db.ts';
import { sampleInput } from '../../support/tasks.ts';

const db = await openTestDb();
const system = { actor: 'system' };

describe('two changes of one task', () => {
  it('both made on the same view: one wins, the other is decided anew on what the first left', async () => {
    const org = freshOrg(db);
    const task = await addTask(db, org);
    const loaded = await loadTask(db, org, task.task_id);
    if (loaded === null) throw new Error('no task');
    // What the second has in hand is out of date the moment the first is done.
    const seen: number[] = [];
    const first = await changeTask(db, org, task.task_id, [{ name: 'match', worker_ids: ['a'] }], {
      ...system,
      loaded,
    });
    const second = await changeTask(
      db,
      org,
      task.task_id,
      (now) => {
        seen.push(now.version);
        return { commands: [{ name: 'cancel', reason: 'late' }] };
      },
      { ...system, loaded },
    );
    expect(first).toMatchObject({ ok: true, task: { version: 2, status: 'matched' } });
    expect(seen).toEqual([1, 2]);
    expect(second).toMatchObject({ ok: true, task: { version: 3, status: 'cancelled' } });
    const history = await historyOf(db, task);
    expect(history.map((one) => one.type)).toEqual([
      'task.created',
      'task.queued',
      'task.matched',
      'task.cancelled',
    ]);
  });

  it('that exclude each other: one happens, the other is refused', async () => {
    const org = freshOrg(db);
    for (let round = 0; round < 20; round += 1) {
      const task = await addTask(db, org);
      const results = await Promise.all(
        ['one', 'two', 'three'].map((reason) =>
          changeTask(db, org, task.task_id, [{ name: 'cancel', reason }], system),
        ),
      );
      const refused = results.flatMap((one) => (one.ok ? [] : [one.code]));
      expect(refused).toEqual(['task_not_cancellable', 'task_not_cancellable']);
      expect((await historyOf(db, task)).filter((one) => one.type === 'task.cancelled')).toHaveLength(1);
    }
  });

  it('by the version the caller knows: the stale one is refused and never merged', async () => {
    const org = freshOrg(db);
    const task = await addTask(db, org);
    const results = await Promise.all(
      [1, 2, 3].map(() =>
        changeTask(db, org, task.task_id, [{ name: 'match', worker_ids: ['a'] }], {
          ...system,
          ifVersion: 1,
        }),
      ),
    );
    expect(results.filter((one) => one.ok)).toHaveLength(1);
    expect(results.flatMap((one) => (one.ok ? [] : [one.code]))).toEqual(['stale', 'stale']);
  });

  it('to a task that is not there: said so', async () => {
    const org = freshOrg(db);
    const other = freshOrg(db);
    const task = await addTask(db, other);
    for (const id of ['nothing', task.task_id])
      expect(await changeTask(db, org, id, [{ name: 'cancel', reason: null }], system)).toMatchObject({
        ok: false,
        code: 'not_found',
      });
  });

  it('what must happen in the same step happens with the change or not at all', async () => {
    const org = freshOrg(db);
    const { org: key } = orgKeysOf(db.prefix, org);
    const mark = (text: string) => () => ({
      guards: [{ kind: 'absent', key } as const],
      writes: [['SET', key, text] as const],
    });
    const created = await createTask(db, sampleInput({ org_id: org }), {
      org_id: org,
      ...system,
      extraWrites: mark('first'),
    });
    const again = await createTask(db, sampleInput({ org_id: org }), {
      org_id: org,
      ...system,
      extraWrites: mark('second'),
    });
    expect([created.ok, again.ok, await db.redis.get(key)]).toEqual([true, false, 'first']);
    expect(await db.redis.zcard(orgKeysOf(db.prefix, org).index('all'))).toBe(1);
  });
});

describe('the capacity of a worker', () => {
  it('is never over-booked: 200 tasks offered at once to one with 7 places', async () => {
    const org = freshOrg(db);
    const capacity = 7;
    const { worker_id } = await addWorker(db, org, { capacity });
    const tasks = await Promise.all(Array.from({ length: 200 }, () => addTask(db, org)));
    const expires_at = db.clock.now() + 60_000;
    const results = await Promise.all(
      tasks.map((task) =>
        changeTask(
          db,
          org,
          task.task_id,
          [
            { name: 'match', worker_ids: [worker_id] },
            { name: 'offer', offers: [{ offer_id: `o-${task.task_id}`, worker_id, expires_at }] },
          ],
          system,
        ),
      ),
    );
    const given = tasks.filter((_, index) => results[index]?.ok).map((one) => one.task_id);
    expect(given).toHaveLength(capacity);
    expect([...(await workerOf(db, org, worker_id)).reservations].sort()).toEqual(given.sort());
    const codes = new Set(results.flatMap((one) => (one.ok ? [] : [one.code])));
    expect([...codes]).toEqual(['worker_busy']);
    // A refused offer left no trace: the task waits as before.
    for (const task of tasks) {
      const now = await taskOf(db, org, task.task_id);
      expect(now.status).toBe(given.includes(task.task_id) ? 'offered' : 'queued');
      expect(now.version).toBe(given.includes(task.task_id) ? 2 : 1);
    }
    expect(await db.redis.zscore(orgKeysOf(db.prefix, org).ready('any'), worker_id)).toBeNull();
  });

  it('is not taken for what they cannot do any more, or said no to, since they were found', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org, { skills: ['a'], capacity: 5 });
    const wanted = { requirements: { skills: ['a'] } };
    const declined = await addTask(db, org, wanted);
    const found = await loadTask(db, org, declined.task_id);
    if (found === null) throw new Error('no task');
    const expires_at = db.clock.now() + 60_000;
    const offer = (task: Task, loaded?: StoredTask) =>
      changeTask(
        db,
        org,
        task.task_id,
        [
          { name: 'match', worker_ids: [worker_id] },
          { name: 'offer', offers: [{ offer_id: newId(expires_at), worker_id, expires_at }] },
        ],
        { ...system, loaded },
      );
    const offered = await offerTo(db, declined, [worker_id]);
    const no = { name: 'decline', worker_id, reason: null, retry_after_seconds: 600 } as const;
    await applyCommands(db, offered, { ...no, offer_id: offerIdOf(offered, worker_id) });
    // Whoever found them before the "no" comes too late.
    expect(await offer(declined, found)).toMatchObject({ ok: false, code: 'worker_busy' });
    const other = await addTask(db, org, wanted);
    await changeWorker(db, org, worker_id, { skills: ['b'] });
    expect(await offer(other)).toMatchObject({ ok: false, code: 'worker_busy' });
    for (const task of [declined, other]) expect((await taskOf(db, org, task.task_id)).status).toBe('queued');
    expect((await workerOf(db, org, worker_id)).reservations).toEqual([]);
  });

  it('is freed by every way a task leaves them', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const reservations = async () => (await workerOf(db, org, worker_id)).reservations.length;
    const ready = async () =>
      (await db.redis.zscore(orgKeysOf(db.prefix, org).ready('any'), worker_id)) !== null;
    const ways: Record<string, (id: string) => Promise<unknown>> = {
      decline: async (id) => {
        const task = await offerTo(db, await taskOf(db, org, id), [worker_id]);
        await applyCommands(db, task, {
          name: 'decline',
          offer_id: offerIdOf(task, worker_id),
          worker_id,
          reason: null,
        });
      },
      expire: async (id) => {
        const task = await offerTo(db, await taskOf(db, org, id), [worker_id], -1);
        await applyCommands(db, task, { name: 'expire', offer_id: offerIdOf(task, worker_id) });
      },
      revoke: async (id) => {
        const task = await offerTo(db, await taskOf(db, org, id), [worker_id]);
        await applyCommands(db, task, { name: 'revoke', worker_id });
      },
      'cancel an offer': async (id) => {
        const task = await offerTo(db, await taskOf(db, org, id), [worker_id]);
        await applyCommands(db, task, { name: 'cancel', reason: null });
      },
      release: async (id) => {
        const task = await accept(db, await offerTo(db, await taskOf(db, org, id), [worker_id]), worker_id);
        await applyCommands(db, task, { name: 'release', worker_id, reason: null });
      },
      'cancel work': async (id) => {
        const task = await accept(db, await offerTo(db, await taskOf(db, org, id), [worker_id]), worker_id);
        await applyCommands(db, task, { name: 'start', worker_id }, { name: 'cancel', reason: null });
      },
      submit: async (id) => {
        await workThrough(db, await offerTo(db, await taskOf(db, org, id), [worker_id]), worker_id);
      },
    };
    for (const [name, way] of Object.entries(ways)) {
      const { task_id } = await addTask(db, org);
      await way(task_id);
      expect([name, await reservations(), await ready()]).toEqual([name, 0, true]);
      expect(await indexErrors(db, await taskOf(db, org, task_id))).toEqual([]);
    }
  });

  it('is taken again by rework, even when they are away meanwhile', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const first = await offerTo(db, await addTask(db, org, { review: { mode: 'manual' } }), [worker_id]);
    const submitted = await workThrough(db, first, worker_id);
    await changeWorker(db, org, worker_id, { availability: 'away' });
    const again = await applyCommands(db, submitted, { name: 'rework', feedback: 'more' });
    expect(again).toMatchObject({ status: 'started', attempt: 2, assignment: { worker_id } });
    expect((await workerOf(db, org, worker_id)).reservations).toEqual([again.task_id]);
  });

  it('is not taken by rework beyond their capacity: the task goes back to the queue', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const first = await offerTo(db, await addTask(db, org, { review: { mode: 'manual' } }), [worker_id]);
    const submitted = await workThrough(db, first, worker_id);
    const second = await offerTo(db, await addTask(db, org), [worker_id]);
    const again = await applyCommands(db, submitted, { name: 'rework', feedback: 'more' });
    expect(again).toMatchObject({ status: 'queued', attempt: 2, assignment: null });
    expect(again.reviews).toMatchObject([{ decision: 'rework', feedback: 'more', worker_id }]);
    expect((await historyOf(db, again)).at(-1)?.data).toMatchObject({ reason: 'rework', detail: 'more' });
    expect((await workerOf(db, org, worker_id)).reservations).toEqual([second.task_id]);
    // It was no "no" of theirs: they get it as soon as they have capacity free.
    await workThrough(db, second, worker_id);
    expect(await offerTo(db, again, [worker_id])).toMatchObject({ status: 'offered', declines: [] });
    expect(await indexErrors(db, await taskOf(db, org, again.task_id))).toEqual([]);
  });
});

describe('an offer made to many', () => {
  it('is won by one of 200 who accept at once', async () => {
    const org = freshOrg(db);
    const ids = Array.from({ length: 200 }, (_, index) => `w${index}`);
    await Promise.all(ids.map((worker_id) => addWorker(db, org, { worker_id })));
    const task = await offerTo(db, await addTask(db, org), ids);
    const results = await Promise.all(
      ids.map((worker_id) =>
        changeTask(
          db,
          org,
          task.task_id,
          [{ name: 'accept', offer_id: offerIdOf(task, worker_id), worker_id }],
          { actor: `worker:${worker_id}` },
        ),
      ),
    );
    const winners = ids.filter((_, index) => results[index]?.ok);
    expect(winners).toHaveLength(1);
    const codes = new Set(results.flatMap((one) => (one.ok ? [] : [one.code])));
    expect([...codes]).toEqual(['offer_not_pending']);
    const now = await taskOf(db, org, task.task_id);
    expect(now.status).toBe('accepted');
    expect(now.assignment?.worker_id).toBe(winners[0]);
    expect(now.offers.filter((one) => one.status === 'revoked')).toHaveLength(199);
    const history = await historyOf(db, task);
    expect(history.filter((one) => one.type === 'task.accepted')).toHaveLength(1);
    expect(firstBroken(history)).toBeNull();
    const held = await Promise.all(ids.map((id) => workerOf(db, org, id)));
    expect(held.filter((one) => one.reservations.length > 0).map((one) => one.worker_id)).toEqual(winners);
  });

  it('goes back to the queue once, when all of them decline at once', async () => {
    const org = freshOrg(db);
    const ids = Array.from({ length: 100 }, (_, index) => `w${index}`);
    await Promise.all(ids.map((worker_id) => addWorker(db, org, { worker_id })));
    const task = await offerTo(db, await addTask(db, org), ids);
    const results = await Promise.all(
      ids.map((worker_id) =>
        changeTask(
          db,
          org,
          task.task_id,
          [{ name: 'decline', offer_id: offerIdOf(task, worker_id), worker_id, reason: null }],
          system,
        ),
      ),
    );
    expect(results.every((one) => one.ok)).toBe(true);
    const now = await taskOf(db, org, task.task_id);
    expect([now.status, now.declines.length, now.version]).toEqual(['queued', 100, 102]);
    expect((await historyOf(db, task)).map((one) => one.type)).toEqual([
      'task.created',
      'task.queued',
      'task.matched',
      'task.offered',
      'task.queued',
    ]);
  });
});

it('rework of a worker who is gone goes to another', async () => {
  const org = freshOrg(db);
  const { worker_id } = await addWorker(db, org);
  const offered = await offerTo(db, await addTask(db, org, { review: { mode: 'manual' } }), [worker_id]);
  const submitted = await workThrough(db, offered, worker_id);
  await changeWorker(db, org, worker_id, null);
  const again = await applyCommands(db, submitted, { name: 'rework', feedback: 'more' });
  expect(again).toMatchObject({ status: 'queued', attempt: 2, assignment: null });
  expect(await indexErrors(db, again)).toEqual([]);
});

it('ends a task with its whole history when the one that was read with it lacks an event', async () => {
  const task = await addTask(db, freshOrg(db));
  const { stored, entries } = await loadWithEntries(db, task.org_id, task.task_id);
  await changeTask(db, task.org_id, task.task_id, [{ name: 'cancel', reason: null }], {
    ...system,
    loaded: stored ?? undefined,
    loadedHistory: entries.slice(0, -1),
  });
  const history = await historyOf(db, task);
  expect(history.map((one) => one.type)).toEqual(['task.created', 'task.queued', 'task.cancelled']);
  expect(firstBroken(history)).toBeNull();
});
