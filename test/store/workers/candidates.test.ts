// The look-ups of matching, compared with an examination of all workers and tasks.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Requirements, URGENCIES } from '../../../src/state/tasks/task.ts';
import { isEligible, queueMember, rank, workerAttributes } from '../../../src/state/workers/matching.ts';
import { AVAILABILITIES, type Worker } from '../../../src/state/workers/worker.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { findWorkers, firstWaitingFor } from '../../../src/store/workers/candidates.ts';
import { allMatchingQueues, matchingQueuesFor } from '../../../src/store/workers/matching-queues.ts';
import {
  addTask,
  addWorker,
  applyCommands,
  changeWorker,
  freshOrg,
  indexErrors,
  offerIdOf,
  offerTo,
  openTestDb,
  workerOf,
} from '../../support/db.ts';
import { rfc3339 } from '../../support/tasks.ts';

const db = await openTestDb();

const skills = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 2 });
const someone = fc.record({
  skills,
  certifications: fc.uniqueArray(fc.constantFrom('x', 'y'), { maxLength: 1 }),
  trust_level: fc.constantFrom(0, 2.5, 5),
  pool_ids: fc.uniqueArray(fc.constantFrom('p', 'q')),
  rating: fc.constantFrom(3, 4, 5),
  idle: fc.nat(20),
  availability: fc.constantFrom(AVAILABILITIES[0], AVAILABILITIES[0], ...AVAILABILITIES),
  capacity: fc.integer({ min: 1, max: 2 }),
});
const names = fc.uniqueArray(fc.constantFrom('w0', 'w1', 'w2', 'w3'), { minLength: 1, maxLength: 3 });
const something = fc.record({
  skills,
  naming: fc.oneof(
    { weight: 2, arbitrary: fc.constant({}) },
    fc.record({ worker_ids: names }),
    fc.record({ excluded_worker_ids: names }),
    fc.record({ worker_ids: names, excluded_worker_ids: names }),
  ),
  certifications: fc.uniqueArray(fc.constantFrom('x', 'y'), { maxLength: 1 }),
  trust_level: fc.constantFrom(0, 2.5, 3),
  pool: fc.option(fc.constantFrom('p', 'q'), { nil: undefined }),
  min_rating: fc.constantFrom(0, 4, 5),
  urgency: fc.constantFrom(...URGENCIES),
  deadline: fc.option(fc.integer({ min: 60, max: 600 }), { nil: undefined }),
});

describe('for any workers and waiting tasks', () => {
  it('the workers found for a task are the best of all eligible ones', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(someone, { maxLength: 12 }),
        something,
        fc.integer({ min: 1, max: 4 }),
        async (people, wanted, count) => {
          const org = freshOrg(db);
          const now = db.clock.now();
          const workers = await Promise.all(
            people.map(({ idle, ...one }, index) =>
              addWorker(db, org, { ...one, worker_id: `w${index}`, idle_since: now - idle * 1000 }),
            ),
          );
          const { pool, naming, urgency: _, deadline: __, ...asked } = wanted;
          const task = await addTask(db, org, {
            requirements: { ...asked, ...naming, ...(pool !== undefined && { worker_pool_id: pool }) },
          });
          const best = rank(
            workers.filter((one) => isEligible(one, task, now)),
            task,
            now,
          );
          const found = await findWorkers(db, task, count);
          expect(found.map((one) => one.worker_id)).toEqual(best.slice(0, count).map((one) => one.worker_id));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('the task found for a worker is the first that it is eligible for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(something, { maxLength: 12 }),
        someone,
        async (waiting, { idle: _, ...one }) => {
          const org = freshOrg(db);
          const now = db.clock.now();
          const tasks = await Promise.all(
            waiting.map(({ pool, naming, urgency, deadline, ...asked }) =>
              addTask(db, org, {
                sla: { urgency, ...(deadline !== undefined && { deadline: rfc3339(now + deadline * 1000) }) },
                requirements: { ...asked, ...naming, ...(pool !== undefined && { worker_pool_id: pool }) },
              }),
            ),
          );
          const worker = await addWorker(db, org, { ...one, worker_id: 'w1', availability: 'available' });
          const [first] = tasks
            .filter((task) => isEligible(worker, task, now))
            .sort((a, b) => (queueMember(a) < queueMember(b) ? -1 : 1));
          expect((await firstWaitingFor(db, worker))?.task.task_id).toBe(first?.task_id);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('a worker', () => {
  it('is found among thousands of ineligible ones, by the rarest required attribute', async () => {
    const org = freshOrg(db);
    for (let at = 0; at < 20; at += 1)
      await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          addWorker(db, org, { worker_id: `common-${at}-${index}`, skills: ['common'] }),
        ),
      );
    const { worker_id } = await addWorker(db, org, { skills: ['common', 'rare'] });
    const task = await addTask(db, org, { requirements: { skills: ['common', 'rare'] } });
    expect((await findWorkers(db, task, 5)).map((one) => one.worker_id)).toEqual([worker_id]);
  });

  it('that is ineligible does not hide those after it', async () => {
    const org = freshOrg(db);
    const now = db.clock.now();
    // More of them than one look-up examines, all idle for longer.
    await Promise.all(
      Array.from({ length: 70 }, (_, index) =>
        addWorker(db, org, { worker_id: `low-${index}`, trust_level: 1, idle_since: now - 1000 }),
      ),
    );
    const { worker_id } = await addWorker(db, org, { trust_level: 5, idle_since: now });
    const task = await addTask(db, org, { requirements: { trust_level: 5 } });
    expect((await findWorkers(db, task, 1)).map((one) => one.worker_id)).toEqual([worker_id]);
  });

  it('is found after more ineligible ones than one look-up examines, and by a rare level', async () => {
    const org = freshOrg(db);
    const now = db.clock.now();
    for (let at = 0; at < 22; at += 1)
      await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          addWorker(db, org, {
            worker_id: `a-${at}-${index}`,
            skills: ['a'],
            rating: 4,
            trust_level: 1,
            idle_since: now - 1000,
          }),
        ),
      );
    // As many lack the other attribute: neither set is much smaller.
    for (let at = 0; at < 22; at += 1)
      await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          addWorker(db, org, { worker_id: `b-${at}-${index}`, skills: ['b'], rating: 4, trust_level: 1 }),
        ),
      );
    const ids = async (requirements: Requirements) =>
      (await findWorkers(db, await addTask(db, org, { requirements }), 2)).map((one) => one.worker_id);
    expect(await ids({ skills: ['a', 'b'] })).toEqual([]);
    expect(await ids({ min_rating: 4.1 })).toEqual([]);
    await addWorker(db, org, { worker_id: 'both', skills: ['a', 'b'], rating: 4.5, idle_since: now });
    await addWorker(db, org, { worker_id: 'late', skills: ['b'], rating: 4.5, idle_since: now + 1 });
    expect(await ids({ skills: ['a', 'b'] })).toEqual(['both']);
    expect(await ids({ min_rating: 4.1 })).toEqual(['both', 'late']);
    expect(await ids({ skills: ['b'], min_rating: 4.1 })).toEqual(['both', 'late']);
    await changeWorker(db, org, 'both', { rating: 4 });
    expect(await ids({ min_rating: 4.1 })).toEqual(['late']);
    await changeWorker(db, org, 'late', { availability: 'away' });
    expect(await ids({ min_rating: 4.1 })).toEqual([]);
  });

  it('without declines is found before any number of workers that declined', async () => {
    const org = freshOrg(db);
    const now = db.clock.now();
    const decliners = Array.from({ length: 70 }, (_, index) => `d-${index}`);
    await Promise.all(
      decliners.map((worker_id) => addWorker(db, org, { worker_id, idle_since: now - 1000 })),
    );
    const task = {
      ...(await addTask(db, org)),
      declines: decliners.map((worker_id) => ({ worker_id, until: now - 1 })),
    };
    expect((await findWorkers(db, task, 1)).map((one) => one.worker_id)).toEqual(['d-0']);
    const { worker_id } = await addWorker(db, org, { idle_since: now });
    expect((await findWorkers(db, task, 1)).map((one) => one.worker_id)).toEqual([worker_id]);
  });

  it('is not found when unavailable, full, changed or removed, and found again when ready', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org, { skills: ['a'], pool_ids: ['p'], certifications: ['c'] });
    const asking = [{ skills: ['a'] }, { worker_pool_id: 'p' }, { certifications: ['c'] }, {}];
    const tasks = await Promise.all(asking.map((requirements) => addTask(db, org, { requirements })));
    const found = async () =>
      Promise.all(tasks.map(async (task) => (await findWorkers(db, task, 1)).length === 1));
    expect(await found()).toEqual([true, true, true, true]);
    await changeWorker(db, org, worker_id, { availability: 'away' });
    expect(await found()).toEqual([false, false, false, false]);
    await changeWorker(db, org, worker_id, { availability: 'available', skills: ['b'], pool_ids: [] });
    expect(await found()).toEqual([false, false, true, true]);
    await changeWorker(db, org, worker_id, { skills: ['a'], pool_ids: ['p'] });
    const other = await offerTo(db, await addTask(db, org), [worker_id]);
    expect(await found()).toEqual([false, false, false, false]);
    await applyCommands(db, other, { name: 'cancel', reason: null });
    expect(await found()).toEqual([true, true, true, true]);
    await changeWorker(db, org, worker_id, null);
    expect(await found()).toEqual([false, false, false, false]);
    // It does not hide other workers either.
    const { ready, readyBy } = orgKeysOf(db.prefix, org);
    const sets = ['any', 'skill:a', 'skill:b', 'pool:p', 'cert:c'].map((one) => ready(one));
    const levels = ['trust_level', 'rating'].map((one) => readyBy(one));
    for (const key of [...sets, ...levels]) expect([key, await db.redis.zcard(key)]).toEqual([key, 0]);
  });
});

describe('a matching queue', () => {
  it.each([0, 30])('is read only by workers with its index attribute, beside %i others', async (others) => {
    const org = freshOrg(db);
    for (let count = 0; count < others; count += 1)
      await addTask(db, org, { requirements: { skills: [`other${count}`] } });
    const asked: Requirements[] = [{}, { skills: ['a'] }, { skills: ['a', 'b'] }, { worker_pool_id: 'p' }];
    for (const requirements of asked) await addTask(db, org, { requirements });
    const rare = { skills: ['a'], certifications: ['x\0y'] };
    await addTask(db, org, { requirements: rare });
    const seenBy = async (profile: Partial<Worker>) => {
      const matchingQueues = await matchingQueuesFor(
        db,
        org,
        workerAttributes(await addWorker(db, org, profile)),
      );
      return matchingQueues.map((matchingQueue) => matchingQueue.requirements);
    };
    expect(await seenBy({})).toEqual([{}]);
    expect(await seenBy({ skills: ['a'] })).toEqual([{}, { skills: ['a'] }]);
    expect(await seenBy({ skills: ['b'] })).toEqual([{}, { skills: ['a', 'b'] }]);
    expect(await seenBy({ pool_ids: ['p'] })).toEqual([{}, { worker_pool_id: 'p' }]);
    expect(await seenBy({ certifications: ['x\0y'] })).toEqual([{}, rare]);
    expect(await allMatchingQueues(db, org)).toHaveLength(5 + others);
  });
});

describe('a task', () => {
  it('that the worker declined does not hide those after it', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    for (let count = 0; count < 12; count += 1) {
      const task = await offerTo(db, await addTask(db, org, { sla: { urgency: 'critical' } }), [worker_id]);
      await applyCommands(db, task, {
        name: 'decline',
        offer_id: offerIdOf(task, worker_id),
        worker_id,
        reason: null,
      });
    }
    const worker = await workerOf(db, org, worker_id);
    expect(await firstWaitingFor(db, worker)).toBeNull();
    const low = await addTask(db, org, { sla: { urgency: 'low' } });
    expect((await firstWaitingFor(db, worker))?.task.task_id).toBe(low.task_id);
    const high = await addTask(db, org, { sla: { urgency: 'high' }, requirements: { trust_level: 1 } });
    expect((await firstWaitingFor(db, worker))?.task.task_id).toBe(high.task_id);
  });

  it('keeps its queue position when it returns', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const old = await addTask(db, org);
    const young = await addTask(db, org);
    const offered = await offerTo(db, old, [worker_id], -1);
    const back = await applyCommands(db, offered, {
      name: 'expire',
      offer_id: offerIdOf(offered, worker_id),
    });
    expect(await indexErrors(db, back)).toEqual([]);
    const other = await addWorker(db, org);
    expect((await firstWaitingFor(db, other))?.task.task_id).toBe(old.task_id);
    await applyCommands(db, back, { name: 'cancel', reason: null });
    expect((await firstWaitingFor(db, other))?.task.task_id).toBe(young.task_id);
  });
});
