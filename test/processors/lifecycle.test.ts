// Matching, offering and verifying, with all processors running: which worker gets which offer in which order, and no
// task and no worker is forgotten, whatever the workers do.
import { describe, expect, it, vi } from 'vitest';
import { matchTask } from '../../src/processors/matching.ts';
import type { Task, TaskInput } from '../../src/state/tasks/task.ts';
import type { Worker } from '../../src/state/workers/worker.ts';
import { changeTask } from '../../src/store/commands/change.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { isBeingRemoved } from '../../src/store/workers/workers.ts';
import {
  accept,
  addPool,
  addTask,
  addWorker,
  applyCommands,
  changeWorker,
  freshOrg,
  historyOf,
  offerIdOf,
  openTestDb,
  taskOf,
  workerOf,
  workThrough,
} from '../support/db.ts';
import { runProcessorsOfFile, withClockAhead } from '../support/processors.ts';
import { freshPrefix } from '../support/redis.ts';
import { secondCopyOf } from '../support/second-copy.ts';
import { rfc3339 } from '../support/tasks.ts';

const db = await openTestDb();
const SOON = { timeout: 20_000 };
// The sweeper does not run: everything here follows from events alone.
await runProcessorsOfFile(db, { sweepEvery: 3600_000 });

/** The task once it is offered to this worker. */
async function offeredTo(db: Db, task: Task, workerId: string): Promise<Task> {
  let now = task;
  await expect
    .poll(async () => {
      now = await taskOf(db, task.org_id, task.task_id);
      return now.offers.some((one) => one.worker_id === workerId && one.status === 'pending');
    }, SOON)
    .toBe(true);
  return now;
}

const statusOf = (db: Db, task: Task) => taskOf(db, task.org_id, task.task_id).then((one) => one.status);
const decline = (db: Db, task: Task, worker_id: string) =>
  applyCommands(db, task, { name: 'decline', offer_id: offerIdOf(task, worker_id), worker_id, reason: null });

/** Completes every offer of the worker, one after the other. @returns the task ids in order. */
async function workOff(db: Db, worker: Worker, count: number): Promise<string[]> {
  const order: string[] = [];
  while (order.length < count) {
    let held: string[] = [];
    await expect
      .poll(async () => {
        held = (await workerOf(db, worker.org_id, worker.worker_id)).reservations;
        return held.length;
      }, SOON)
      .toBeGreaterThan(0);
    for (const id of held) {
      const task = await taskOf(db, worker.org_id, id);
      order.push(id);
      await workThrough(db, task, worker.worker_id);
    }
  }
  return order;
}

describe('matching', () => {
  it('offers a task to the longest idle worker, then to the best rated', async () => {
    const org = freshOrg(db);
    const now = db.clock.now();
    await addWorker(db, org, { worker_id: 'short', idle_since: now - 1000, rating: 5 });
    await addWorker(db, org, { worker_id: 'long-good', idle_since: now - 9000, rating: 4 });
    await addWorker(db, org, { worker_id: 'long-bad', idle_since: now - 9000, rating: 3 });
    for (const expected of ['long-good', 'long-bad', 'short'])
      await offeredTo(db, await addTask(db, org), expected);
  });

  it('offers a worker the waiting tasks by urgency, deadline and age', async () => {
    const org = freshOrg(db);
    const now = db.clock.now();
    const waiting: [name: string, sla: TaskInput['sla']][] = [
      ['low', { urgency: 'low', deadline: rfc3339(now + 100_000) }],
      ['normal, old', { urgency: 'normal' }],
      ['normal, young', { urgency: 'normal' }],
      ['normal, late deadline', { urgency: 'normal', deadline: rfc3339(now + 900_000) }],
      ['normal, early deadline', { urgency: 'normal', deadline: rfc3339(now + 600_000) }],
      ['critical', { urgency: 'critical' }],
      ['high', { urgency: 'high' }],
    ];
    const names = new Map<string, string>();
    for (const [name, sla] of waiting) names.set((await addTask(db, org, { sla })).task_id, name);
    const worker = await addWorker(db, org);
    const order = await workOff(db, worker, waiting.length);
    expect(order.map((id) => names.get(id))).toEqual([
      'critical',
      'high',
      'normal, early deadline',
      'normal, late deadline',
      'normal, old',
      'normal, young',
      'low',
    ]);
  });

  it('offers no task whose requirements the worker does not meet', async () => {
    const org = freshOrg(db);
    await addPool(db, org);
    await addWorker(db, org, { skills: ['a'], trust_level: 1, rating: 3 });
    const unfit = await Promise.all(
      [
        { skills: ['a', 'b'] },
        { certifications: ['a'] },
        { trust_level: 2 },
        { min_rating: 3.5 },
        { worker_pool_id: 'pool' },
      ].map((requirements) => addTask(db, org, { requirements, sla: { urgency: 'critical' } })),
    );
    const fit = await addTask(db, org, { requirements: { skills: ['a'], trust_level: 1 } });
    await expect.poll(() => statusOf(db, fit), SOON).toBe('offered');
    for (const task of unfit) expect(await statusOf(db, task)).toBe('queued');
    // A worker who acquires the skill gets the offer.
    await addWorker(db, org, { worker_id: 'all', skills: ['a', 'b'], certifications: ['a'], trust_level: 5 });
    await changeWorker(db, org, 'all', { rating: 5, pool_ids: ['pool'], capacity: 5 });
    for (const task of unfit) await offeredTo(db, task, 'all');
  });

  it('never exceeds a worker’s capacity, and leaves no eligible worker idle while tasks wait', async () => {
    const org = freshOrg(db);
    const capacities = [1, 2, 5];
    const workers = await Promise.all(capacities.map((capacity) => addWorker(db, org, { capacity })));
    const tasks = await Promise.all(Array.from({ length: 60 }, () => addTask(db, org)));
    const done = new Set<string>();
    const held = async () => {
      const seen = await Promise.all(workers.map((one) => workerOf(db, org, one.worker_id)));
      return seen.map((one) => one.reservations.length);
    };
    await expect.poll(held, SOON).toEqual(capacities);
    while (done.size < tasks.length) {
      const seen = await Promise.all(workers.map((one) => workerOf(db, org, one.worker_id)));
      for (const [index, one] of seen.entries()) {
        expect(one.reservations.length).toBeLessThanOrEqual(capacities[index] ?? 0);
        for (const id of one.reservations) {
          await workThrough(db, await taskOf(db, org, id), one.worker_id);
          done.add(id);
        }
      }
    }
    for (const task of tasks) await expect.poll(() => statusOf(db, task), SOON).toBe('completed');
    for (const one of workers) expect((await workerOf(db, org, one.worker_id)).reservations).toEqual([]);
  });
});

describe('a task that a worker does not do', () => {
  it('is offered to another worker', async () => {
    const org = freshOrg(db);
    const now = db.clock.now();
    await addWorker(db, org, { worker_id: 'first', idle_since: now - 1000 });
    await addWorker(db, org, { worker_id: 'second', idle_since: now });
    const task = await offeredTo(db, await addTask(db, org), 'first');
    await decline(db, task, 'first');
    const again = await offeredTo(db, task, 'second');
    expect(again.attempt).toBe(1);
  });

  it('is offered to the only worker again after the cool-down and not before', async () => {
    const org = freshOrg(db);
    await addPool(db, org, { offer_ttl_seconds: 1 });
    await addWorker(db, org, { worker_id: 'only', pool_ids: ['pool'] });
    const task = await offeredTo(
      db,
      await addTask(db, org, { requirements: { worker_pool_id: 'pool' } }),
      'only',
    );
    const declined = await decline(db, task, 'only');
    const again = await offeredTo(db, declined, 'only');
    const waited = (again.offers[0]?.offered_at ?? 0) - declined.updated_at;
    expect(waited).toBeGreaterThanOrEqual(1000);
    expect(waited).toBeLessThan(3000);
  });

  it('is offered again after an expiry, to other workers first', async () => {
    const org = freshOrg(db);
    await addPool(db, org, { offer_ttl_seconds: 1 });
    const requirements = { worker_pool_id: 'pool' };
    await addWorker(db, org, { worker_id: 'only', pool_ids: ['pool'] });
    const task = await offeredTo(db, await addTask(db, org, { requirements }), 'only');
    const other = await addTask(db, org, { requirements, sla: { urgency: 'low' } });
    await offeredTo(db, other, 'only');
    await offeredTo(db, task, 'only');
    const reasons = (await historyOf(db, task))
      .filter((one) => one.type === 'task.queued')
      .map((one) => one.data.reason);
    expect(reasons.slice(0, 2)).toEqual(['created', 'expired']);
  });

  it('goes to another worker when released or not started in time, and counts an attempt', async () => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a' });
    const task = await accept(db, await offeredTo(db, await addTask(db, org), 'a'), 'a');
    await addWorker(db, org, { worker_id: 'b' });
    await applyCommands(db, task, { name: 'release', worker_id: 'a', reason: 'ill' });
    await changeWorker(db, org, 'a', { availability: 'away' });
    const again = await accept(db, await offeredTo(db, task, 'b'), 'b');
    expect(again.attempt).toBe(2);
    await addWorker(db, org, { worker_id: 'c' });
    const timeout = { name: 'start_timeout', accepted_at: again.assignment?.accepted_at ?? 0 } as const;
    await applyCommands(withClockAhead(db, 901_000), again, timeout);
    await changeWorker(db, org, 'b', { availability: 'away' });
    const last = await accept(db, await offeredTo(db, again, 'c'), 'c');
    const failed = await applyCommands(db, last, { name: 'release', worker_id: 'c', reason: null });
    expect(failed.failure?.code).toBe('attempts_exhausted');
  });
});

describe('a worker', () => {
  it('who goes away loses pending offers and keeps accepted tasks', async () => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a', capacity: 3 });
    const mine = await accept(db, await offeredTo(db, await addTask(db, org), 'a'), 'a');
    const offered = [
      await offeredTo(db, await addTask(db, org), 'a'),
      await offeredTo(db, await addTask(db, org), 'a'),
    ];
    await changeWorker(db, org, 'a', { availability: 'away' });
    for (const task of offered) await expect.poll(() => statusOf(db, task), SOON).toBe('queued');
    expect(await statusOf(db, mine)).toBe('accepted');
    expect((await workerOf(db, org, 'a')).reservations).toEqual([mine.task_id]);
    // A revoked offer is not a decline: on return, the worker gets it again at once.
    await changeWorker(db, org, 'a', { availability: 'available' });
    for (const task of offered) await offeredTo(db, task, 'a');
  });

  it('who is removed returns offered, accepted and started tasks to the queue', async () => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a', capacity: 3 });
    const offered = await offeredTo(db, await addTask(db, org), 'a');
    const accepted = await accept(db, await offeredTo(db, await addTask(db, org), 'a'), 'a');
    const started = await applyCommands(
      db,
      await accept(db, await offeredTo(db, await addTask(db, org), 'a'), 'a'),
      {
        name: 'start',
        worker_id: 'a',
      },
    );
    await changeWorker(db, org, 'a', null);
    await addWorker(db, org, { worker_id: 'b', capacity: 3 });
    for (const task of [offered, accepted, started]) await offeredTo(db, task, 'b');
    const reasons = await Promise.all(
      [offered, accepted, started].map(async (task) => {
        const history = await historyOf(db, task);
        return history.findLast((one) => one.type === 'task.queued')?.data.reason;
      }),
    );
    expect(reasons).toEqual(['worker_gone', 'worker_gone', 'worker_gone']);
  });

  it('who is created under the id of a removed one inherits nothing', async () => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a' });
    const task = await accept(db, await offeredTo(db, await addTask(db, org), 'a'), 'a');
    await changeWorker(db, org, 'a', null);
    await vi.waitFor(async () => expect(await isBeingRemoved(db, org, 'a')).toBe(false));
    await addWorker(db, org, { worker_id: 'a' });
    const again = await offeredTo(db, task, 'a');
    expect([again.assignment, again.attempt]).toEqual([null, 2]);
    expect((await workerOf(db, org, 'a')).reservations).toEqual([task.task_id]);
  });
});

describe('a pool with broadcast offers', () => {
  it('offers to the best `broadcast_size` workers, and revokes the other offers on an accept', async () => {
    const org = freshOrg(db);
    const now = db.clock.now();
    await addPool(db, org, { offer_mode: 'broadcast', broadcast_size: 3 });
    const ids = ['a', 'b', 'c', 'd', 'e'];
    for (const [index, worker_id] of ids.entries())
      await addWorker(db, org, { worker_id, pool_ids: ['pool'], idle_since: now - 1000 * (9 - index) });
    const task = await offeredTo(
      db,
      await addTask(db, org, { requirements: { worker_pool_id: 'pool' } }),
      'a',
    );
    expect(task.offers.map((one) => one.worker_id)).toEqual(['a', 'b', 'c']);
    const taken = await accept(db, task, 'b');
    expect(taken.offers.map((one) => one.status)).toEqual(['revoked', 'accepted', 'revoked']);
    // The worker is still the longest idle and gets the next task.
    const next = await offeredTo(
      db,
      await addTask(db, org, { requirements: { worker_pool_id: 'pool' } }),
      'a',
    );
    expect(next.offers.map((one) => one.worker_id)).toEqual(['a', 'c', 'd']);
  });

  it('keeps the other offers when some decline, and matches again when all declined', async () => {
    const org = freshOrg(db);
    await addPool(db, org, { offer_mode: 'broadcast', broadcast_size: 2, offer_ttl_seconds: 1 });
    for (const worker_id of ['a', 'b']) await addWorker(db, org, { worker_id, pool_ids: ['pool'] });
    const task = await offeredTo(
      db,
      await addTask(db, org, { requirements: { worker_pool_id: 'pool' } }),
      'a',
    );
    expect((await decline(db, task, 'a')).status).toBe('offered');
    expect((await decline(db, task, 'b')).status).toBe('queued');
    await expect.poll(() => statusOf(db, task), SOON).toBe('offered');
  });
});

describe('a submission', () => {
  it('without manual review is verified and completed at once', async () => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a' });
    const task = await workThrough(db, await offeredTo(db, await addTask(db, org), 'a'), 'a');
    await expect.poll(() => statusOf(db, task), SOON).toBe('completed');
    const types = (await historyOf(db, task)).map((one) => one.type);
    expect(types.slice(-3)).toEqual(['task.submitted', 'task.verified', 'task.completed']);
  });

  it('with manual review waits for the reviewer', async () => {
    const org = freshOrg(db);
    await addWorker(db, org, { worker_id: 'a' });
    const reviewed = await offeredTo(db, await addTask(db, org, { review: { mode: 'manual' } }), 'a');
    const waiting = await workThrough(db, reviewed, 'a');
    const other = await workThrough(db, await offeredTo(db, await addTask(db, org), 'a'), 'a');
    await expect.poll(() => statusOf(db, other), SOON).toBe('completed');
    expect(await statusOf(db, waiting)).toBe('submitted');
  });
});

it('two processes that match the same tasks at once offer each once and exceed no capacity', async () => {
  // No relay runs: only the test matches.
  const own = { ...db, prefix: freshPrefix() };
  const org = freshOrg(own);
  const capacities = [1, 1, 1, 1, 2, 2, 3, 5];
  const places = 16;
  const tasks = await Promise.all(Array.from({ length: 40 }, () => addTask(own, org)));
  const workers = await Promise.all(capacities.map((capacity) => addWorker(own, org, { capacity })));
  // It stands for another process.
  const other = (await import(secondCopyOf('src/processors/matching.ts'))) as { matchTask: typeof matchTask };
  await Promise.all(
    tasks.flatMap(({ task_id }) => [matchTask(own, org, task_id), other.matchTask(own, org, task_id)]),
  );
  const now = await Promise.all(tasks.map((task) => taskOf(own, org, task.task_id)));
  expect(now.map((one) => one.status)).toEqual(
    tasks.map((_, index) => (index < places ? 'offered' : 'queued')),
  );
  // The later process wrote nothing: a second commit of a task would repeat its events.
  const told = ['task.created', 'task.queued', 'task.matched', 'task.offered'];
  for (const task of now) {
    const history = await historyOf(own, task);
    expect(history.map((one) => one.type)).toEqual(told.slice(0, task.status === 'offered' ? 4 : 2));
    const { offer_id } = history.at(-1)?.data ?? {};
    expect(offer_id).toBe(task.offers[0]?.offer_id);
  }
  for (const { worker_id, capacity } of workers) {
    const asked = now.filter((one) => one.offers.some((offer) => offer.worker_id === worker_id));
    const { reservations } = await workerOf(own, org, worker_id);
    expect([asked.length, [...reservations].sort()]).toEqual([
      capacity,
      asked.map((one) => one.task_id).sort(),
    ]);
  }
});

it('the removal of a worker at any step never leaves a task with that worker', async () => {
  const org = freshOrg(db);
  await addWorker(db, org, { worker_id: 'steady', capacity: 3 });
  const tasks = await Promise.all(Array.from({ length: 12 }, () => addTask(db, org)));
  for (let round = 0; round < 6; round += 1) {
    const worker_id = `guest-${round}`;
    await addWorker(db, org, { worker_id, capacity: 4 });
    // Each step races with the removal: it may be refused, but no task may be lost.
    const work = async () => {
      for (const id of (await workerOf(db, org, worker_id)).reservations) {
        const task = await taskOf(db, org, id);
        const offer = task.offers.find((one) => one.worker_id === worker_id && one.status === 'pending');
        if (offer === undefined) continue;
        const { offer_id } = offer;
        const accepting = { name: 'accept', offer_id, worker_id } as const;
        const starting = { name: 'start', worker_id } as const;
        for (const command of round % 2 === 0 ? [accepting] : [accepting, starting])
          await changeTask(db, org, id, [command], { actor: worker_id });
      }
    };
    await Promise.all([work().catch(() => undefined), changeWorker(db, org, worker_id, null)]);
  }
  const worker = await workerOf(db, org, 'steady');
  const done = await workOff(db, worker, tasks.length);
  expect([...new Set(done)].sort()).toEqual(tasks.map((one) => one.task_id).sort());
});
