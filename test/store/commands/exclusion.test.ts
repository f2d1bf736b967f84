// Exclusions in the store: by matching, offers, accepts and rework, under races with the assignment of an excluded task.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchTask } from '../../../src/processors/matching.ts';
import type { Requirements, Task } from '../../../src/state/tasks/task.ts';
import { planAssignment } from '../../../src/store/commands/assign-task.ts';
import { changeTask, createTask, type Plan } from '../../../src/store/commands/change.ts';
import { planUpdate } from '../../../src/store/commands/update-task.ts';
import { newId } from '../../../src/store/redis/ids.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { findWorkers, firstWaitingFor } from '../../../src/store/workers/candidates.ts';
import { allMatchingQueues, removeEmptyMatchingQueue } from '../../../src/store/workers/matching-queues.ts';
import {
  accept,
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
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
const SYSTEM = { actor: 'system' };

const needing = (org: string, requirements: Requirements) => addTask(db, org, { requirements });
const excluding = (org: string, ...tasks: Task[]) =>
  needing(org, { excluded_tasks: tasks.map((one) => one.task_id) });
const now = ({ org_id, task_id }: Task) => taskOf(db, org_id, task_id);
const patch = (task: Task, requirements: Partial<Requirements>) =>
  changeTask(db, task.org_id, task.task_id, (one) => planUpdate(db, one, { requirements }), SYSTEM);
const tryOffer = (task: Task, worker_id: string, forced = false) =>
  changeTask(
    db,
    task.org_id,
    task.task_id,
    [
      { name: 'match', worker_ids: [worker_id] },
      {
        name: 'offer',
        offers: [
          {
            offer_id: newId(db.clock.now()),
            worker_id,
            expires_at: db.clock.now() + 60_000,
            ...(forced && { forced }),
          },
        ],
      },
    ],
    SYSTEM,
  );
const tryAccept = (task: Task, worker_id: string) =>
  changeTask(
    db,
    task.org_id,
    task.task_id,
    [{ name: 'accept', offer_id: offerIdOf(task, worker_id), worker_id }],
    { actor: `worker:${worker_id}` },
  );
const found = async (task: Task) => (await findWorkers(db, task, 9)).map((one) => one.worker_id);
const waitingFor = async (org: string, id: string) =>
  (await firstWaitingFor(db, await workerOf(db, org, id)))?.task.task_id ?? null;

/** An org with these workers, each with room for three tasks. */
async function orgWith(...names: string[]): Promise<string> {
  const org = freshOrg(db);
  for (const worker_id of names) await addWorker(db, org, { worker_id, capacity: 3 });
  return org;
}

describe('matching', () => {
  it('finds only workers who are named and not excluded, from either side', async () => {
    const org = await orgWith('a', 'b', 'c');
    const only = await needing(org, { worker_ids: ['c', 'b', 'gone'] });
    expect((await found(only)).sort()).toEqual(['b', 'c']);
    const not = await needing(org, { excluded_worker_ids: ['a', 'b'] });
    expect(await found(not)).toEqual(['c']);
    expect([await waitingFor(org, 'a'), await waitingFor(org, 'b')]).toEqual([null, only.task_id]);
    await offerTo(db, only, ['c']);
    expect([await waitingFor(org, 'b'), await waitingFor(org, 'c')]).toEqual([null, not.task_id]);
  });

  it('finds nobody who was ever assigned an excluded task, open or final', async () => {
    const org = await orgWith('a', 'b', 'c');
    const [open, final] = [await addTask(db, org), await addTask(db, org)];
    const task = await excluding(org, open, final);
    expect((await found(task)).sort()).toEqual(['a', 'b', 'c']);
    const accepted = await accept(db, await offerTo(db, open, ['a']), 'a');
    await applyCommands(db, accepted, { name: 'release', worker_id: 'a', reason: null });
    await workThrough(db, await offerTo(db, final, ['b']), 'b');
    await applyCommands(db, final, { name: 'approve', feedback: null }, { name: 'complete' });
    expect(await found(task)).toEqual(['c']);
    expect(await waitingFor(org, 'a')).toBe(open.task_id);
    expect([await waitingFor(org, 'b'), await waitingFor(org, 'c')]).toEqual([open.task_id, open.task_id]);
    await applyCommands(db, open, { name: 'cancel', reason: null });
    const waiting = await Promise.all(['a', 'b', 'c'].map((id) => waitingFor(org, id)));
    expect(waiting).toEqual([null, null, task.task_id]);
  });

  it('passes over tasks that exclude the worker to those behind them', async () => {
    const org = await orgWith('a');
    for (let count = 0; count < 12; count += 1) await needing(org, { excluded_worker_ids: ['a'] });
    const last = await addTask(db, org);
    expect(await waitingFor(org, 'a')).toBe(last.task_id);
    expect(await allMatchingQueues(db, org)).toHaveLength(1);
  });

  it('lists a queue under each worker that it is for, until no task waits in it', async () => {
    const org = await orgWith('a', 'b');
    const task = await needing(org, { worker_ids: ['b', 'a'] });
    const listed = await allMatchingQueues(db, org);
    expect(listed.map((one) => one.requirements)).toEqual([{ worker_ids: ['a'] }, { worker_ids: ['b'] }]);
    expect(new Set(listed.map((one) => one.id)).size).toBe(1);
    await matchTask(db, org, task.task_id);
    const offered = await now(task);
    expect(offered.status).toBe('offered');
    expect(await indexErrors(db, offered)).toEqual([]);
    for (const one of listed) await removeEmptyMatchingQueue(db, org, one);
    expect(await allMatchingQueues(db, org)).toEqual([]);
  });

  it('finds nobody when an excluded task is gone, since it may have been anyone', async () => {
    const org = await orgWith('a');
    const gone = await addTask(db, org);
    const task = await excluding(org, gone);
    await db.redis.del(orgKeysOf(db.prefix, org).task(gone.task_id));
    expect(await found(task)).toEqual([]);
    expect(await waitingFor(org, 'a')).toBeNull();
    expect(await tryOffer(task, 'a', true)).toMatchObject({ ok: false });
    await patch(task, { excluded_tasks: [] });
    expect(await found(await now(task))).toEqual(['a']);
  });
});

describe('an offer', () => {
  it('to an excluded worker is refused, forced or not', async () => {
    const org = await orgWith('a', 'b');
    const first = await accept(db, await offerTo(db, await addTask(db, org), ['a']), 'a');
    const tasks = [await needing(org, { excluded_worker_ids: ['a'] }), await excluding(org, first)];
    for (const task of tasks) {
      for (const forced of [false, true])
        expect(await tryOffer(task, 'a', forced)).toMatchObject({ ok: false, code: 'worker_busy' });
      for (const mode of ['offer', 'assign'] as const) {
        const wish = { mode, force: true };
        const plan = await planAssignment(db, task, await workerOf(db, org, 'a'), wish);
        expect(plan).toMatchObject({ obstacles: [{ reason: expect.stringMatching(/^excluded_/) }] });
      }
      expect((await now(task)).version).toBe(1);
      expect(await tryOffer(task, 'b')).toMatchObject({ ok: true });
    }
    const named = await needing(org, { worker_ids: ['b'] });
    expect(await tryOffer(named, 'a')).toMatchObject({ ok: false });
    expect(await tryOffer(named, 'a', true)).toMatchObject({ ok: true });
  });

  it('is revoked when its worker tries to accept after they were assigned an excluded task', async () => {
    const org = await orgWith('a', 'b');
    const first = await addTask(db, org);
    const task = await offerTo(db, await excluding(org, first), ['a']);
    await accept(db, await offerTo(db, first, ['a']), 'a');
    expect(await tryAccept(task, 'a')).toMatchObject({ ok: false, code: 'offer_not_pending' });
    expect(await now(task)).toMatchObject({ status: 'queued', assignment: null });
    expect((await workerOf(db, org, 'a')).reservations).toEqual([first.task_id]);
    await matchTask(db, org, task.task_id);
    expect((await now(task)).offers).toMatchObject([{ worker_id: 'b', status: 'pending' }]);
  });

  it('is revoked by the update that excludes its worker, also a forced one', async () => {
    const org = await orgWith('a');
    const first = await accept(db, await offerTo(db, await addTask(db, org), ['a']), 'a');
    const changes = [
      { excluded_worker_ids: ['a'] },
      { excluded_tasks: [first.task_id] },
      { worker_ids: ['b'] },
    ];
    for (const [index, change] of changes.entries()) {
      const task = await addTask(db, org);
      expect(await tryOffer(task, 'a', index < 2)).toMatchObject({ ok: true });
      expect(await patch(task, change)).toMatchObject({ ok: true, task: { status: 'queued' } });
    }
    expect((await workerOf(db, org, 'a')).reservations).toEqual([first.task_id]);
  });
});

it('rework goes to another worker when its own was assigned an excluded task meanwhile', async () => {
  const org = await orgWith('a', 'b');
  const first = await addTask(db, org);
  const task = await workThrough(db, await offerTo(db, await excluding(org, first), ['a']), 'a');
  await accept(db, await offerTo(db, first, ['a']), 'a');
  const again = await applyCommands(db, task, { name: 'rework', feedback: 'Look again.' });
  expect(again).toMatchObject({ status: 'queued', assignment: null, attempt: 2 });
  expect(await found(again)).toEqual(['b']);
});

describe('the copies of a task', () => {
  const withCopies = async (org: string, requirements: Requirements = {}) => {
    const input = sampleInput({ org_id: org, requirements });
    const copies = { count: 2, agreement: { mode: 'majority' as const } };
    const asked = { ...input, output: { ...input.output, copies } };
    const created = await createTask(db, asked, { org_id: org, actor: 'system' });
    if (!created.ok) throw new Error(created.message);
    const ids = (created.task.copies ?? []).map((one) => one.task_id);
    return { task: created.task, copies: await Promise.all(ids.map((id) => taskOf(db, org, id))) };
  };

  it('each exclude whom the task excludes', async () => {
    const org = await orgWith('a', 'b', 'c');
    const first = await accept(db, await offerTo(db, await addTask(db, org), ['a']), 'a');
    const given = { excluded_tasks: [first.task_id], excluded_worker_ids: ['b'] };
    for (const copy of (await withCopies(org, given)).copies) {
      expect(await found(copy)).toEqual(['c']);
      expect(await tryOffer(copy, 'a', true)).toMatchObject({ ok: false });
    }
  });

  it('exclude all their workers where the task is excluded', async () => {
    const org = await orgWith('a', 'b', 'c');
    const { task, copies } = await withCopies(org);
    const other = await excluding(org, task);
    const offered = await Promise.all(
      copies.map(async (copy, index) => offerTo(db, copy, [index === 0 ? 'a' : 'b'])),
    );
    await Promise.all(offered.map((copy, index) => accept(db, copy, index === 0 ? 'a' : 'b')));
    expect((await now(task)).assigned_workers?.toSorted()).toEqual(['a', 'b']);
    expect(await found(other)).toEqual(['c']);
    await applyCommands(db, task, { name: 'cancel', reason: null });
    expect(await found(other)).toEqual(['c']);
  });
});

describe('for any history', () => {
  const WORKERS = ['a', 'b', 'c'];
  const step = fc.record({
    what: fc.constantFrom(
      'match',
      'offer',
      'accept',
      'assign',
      'force',
      'release',
      'requeue',
      'work',
      'review',
    ),
    on: fc.integer({ min: 0, max: 2 }),
    who: fc.constantFrom(...WORKERS),
    /** Whether the next step runs at the same time. */
    isRacing: fc.boolean(),
  });
  type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

  async function run({ what, on, who }: Step, tasks: readonly Task[]): Promise<void> {
    const [task] = tasks.slice(on);
    if (task === undefined) return;
    const { org_id, task_id } = task;
    const change = (choice: Parameters<typeof changeTask>[3]) =>
      changeTask(db, org_id, task_id, choice, SYSTEM);
    const by = (one: Task) => one.assignment?.worker_id ?? who;
    switch (what) {
      case 'match':
        await matchTask(db, org_id, task_id);
        return;
      case 'offer':
        await tryOffer(task, who);
        return;
      case 'accept':
        await change((one) => {
          const offer = one.offers.find(({ status }) => status === 'pending');
          const { offer_id = '', worker_id = who } = offer ?? {};
          return { commands: [{ name: 'accept', offer_id, worker_id }] };
        });
        return;
      case 'assign':
      case 'force':
        await change(async (one): Promise<Plan | null> => {
          const wish = { mode: 'assign', force: what === 'force' } as const;
          if (one.assignment?.worker_id === who) return null;
          const plan = await planAssignment(db, one, await workerOf(db, org_id, who), wish);
          return 'obstacles' in plan ? null : plan;
        });
        return;
      case 'release':
        await change((one) => ({ commands: [{ name: 'release', worker_id: by(one), reason: null }] }));
        return;
      case 'requeue':
        await change([{ name: 'requeue', reason: 'shift ends' }]);
        return;
      case 'work': {
        const submission = { output: 'done', evidence: [], notes: null };
        await change((one) => ({
          commands:
            one.status === 'started'
              ? [{ name: 'submit', worker_id: by(one), submission }]
              : [{ name: 'start', worker_id: by(one) }],
        }));
        return;
      }
      case 'review':
        await change([{ name: 'rework', feedback: 'again' }]);
    }
  }

  it('no worker has two tasks that exclude each other, nor one that excludes them', async () => {
    let assigned = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 15, maxLength: 40 }), async (steps) => {
        const org = await orgWith(...WORKERS);
        const made: Task[] = [];
        for (let count = 0; count < 3; count += 1)
          made.push(await needing(org, { max_attempts: 100, excluded_worker_ids: count === 2 ? ['c'] : [] }));
        for (const task of made) {
          const excluded_tasks = made.filter((one) => one !== task).map((one) => one.task_id);
          await patch(task, { excluded_tasks });
        }
        for (let at = 0; at < steps.length; ) {
          const first = at;
          while (steps[at]?.isRacing === true && at - first < 4) at += 1;
          at += 1;
          await Promise.all(steps.slice(first, at).map((one) => run(one, made)));
        }
        const had = await Promise.all(made.map(async (one) => (await now(one)).assigned_workers ?? []));
        assigned += had.flat().length;
        expect(new Set(had.flat()).size).toBe(had.flat().length);
        expect(had[2]).not.toContain('c');
      }),
      { numRuns: 25 },
    );
    expect(assigned).toBeGreaterThan(25);
  });

  it('of assignments of both tasks at once to a worker who has offers of both, one wins', async () => {
    const org = await orgWith('a');
    const [one, two] = [await addTask(db, org), await addTask(db, org)];
    await patch(one, { excluded_tasks: [two.task_id] });
    await patch(two, { excluded_tasks: [one.task_id] });
    for (const task of [one, two]) await offerTo(db, await now(task), ['a']);
    const wish = { mode: 'assign', force: true } as const;
    const assign = async (task: Task): Promise<Plan | null> => {
      const plan = await planAssignment(db, task, await workerOf(db, org, 'a'), wish);
      return 'obstacles' in plan ? null : plan;
    };
    const answers = await Promise.all(
      [one, two].map(({ task_id }) => changeTask(db, org, task_id, assign, SYSTEM)),
    );
    expect(answers.filter((answer) => answer.ok)).toHaveLength(1);
    const held = [await now(one), await now(two)].filter((task) => task.assignment !== null);
    expect(held).toHaveLength(1);
  });

  it('an assignment of the excluded task between the check and the commit is noticed', async () => {
    const org = await orgWith('a');
    const first = await offerTo(db, await addTask(db, org), ['a']);
    const task = await excluding(org, first);
    const keys = orgKeysOf(db.prefix, org);
    // The workers of the excluded task are read before the assignment, the worker's record after it.
    let assigned: Promise<unknown> | null = null;
    const redis = new Proxy(db.redis, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (name !== 'hmget') return typeof member === 'function' ? member.bind(target) : member;
        return async (key: string, ...fields: string[]) => {
          if (key === keys.worker('a')) await expect.poll(() => assigned).not.toBeNull();
          await assigned;
          const read = await target.hmget(key, ...fields);
          if (key !== keys.task(first.task_id)) return read;
          assigned ??= accept(db, first, 'a');
          await assigned;
          return read;
        };
      },
    });
    const offers = [{ offer_id: 'late', worker_id: 'a', expires_at: db.clock.now() + 60_000 }];
    const commands = [
      { name: 'match' as const, worker_ids: ['a'] },
      { name: 'offer' as const, offers },
    ];
    const changed = await changeTask({ ...db, redis }, org, task.task_id, commands, SYSTEM);
    expect((await now(first)).assignment?.worker_id).toBe('a');
    expect(changed).toMatchObject({ ok: false, code: 'worker_busy' });
  });
});
