// Copies of a task under races, in the store alone: no worker has two, the task follows them in the same commit, and all of
// it ends and is purged together.
import { describe, expect, it } from 'vitest';
import { matchTask } from '../../../src/processors/matching.ts';
import { isFinal } from '../../../src/state/tasks/lifecycle.ts';
import type { Task } from '../../../src/state/tasks/task.ts';
import { changeTask, createTask } from '../../../src/store/commands/change.ts';
import { duePurges, purge } from '../../../src/store/maintenance/retention.ts';
import { orgKeysOf, partitionOf } from '../../../src/store/redis/keys.ts';
import {
  accept,
  addPool,
  addTask,
  addWorker,
  applyCommands,
  changeWorker,
  freshOrg,
  indexErrors,
  offerIdOf,
  offerTo,
  openTestDb,
  taskOf,
  workerOf,
} from '../../support/db.ts';
import { withClockAhead } from '../../support/processors.ts';
import { sampleInput } from '../../support/tasks.ts';

const db = await openTestDb();

interface Given {
  org: string;
  task: Task;
  ids: string[];
}

async function stage(count = 3, more: Partial<Task['input']> = {}, max_count?: number): Promise<Given> {
  const org = freshOrg(db);
  const input = { ...sampleInput({ org_id: org }), ...more };
  const copies = {
    count,
    agreement: { mode: 'majority' as const },
    ...(max_count !== undefined && { max_count }),
  };
  const created = await createTask(
    db,
    { ...input, output: { ...input.output, copies } },
    { org_id: org, actor: 'system' },
  );
  if (!created.ok) throw new Error(created.message);
  return { org, task: created.task, ids: (created.task.copies ?? []).map((one) => one.task_id) };
}

const copiesOf = ({ org, ids }: Given) => Promise.all(ids.map((id) => taskOf(db, org, id)));
const originalOf = ({ org, task }: Given) => taskOf(db, org, task.task_id);
const offered = async (org: string, id: string, worker: string) => {
  const task = await taskOf(db, org, id);
  const now = db.clock.now();
  const offers = [{ offer_id: `${id}-${worker}`, worker_id: worker, expires_at: now + 60_000 }];
  return changeTask(
    db,
    org,
    id,
    [
      { name: 'match', worker_ids: [worker] },
      { name: 'offer', offers },
    ],
    {
      actor: 'system',
      loaded: { task, head: (await db.redis.hget(orgKeysOf(db.prefix, org).task(id), 'h')) ?? '' },
    },
  );
};

async function answer({ org }: Given, id: string, worker: string, output: unknown): Promise<void> {
  const task = await taskOf(db, org, id);
  const started = task.status === 'queued' ? await begin(org, task, worker) : task;
  await applyCommands(db, started, {
    name: 'submit',
    worker_id: worker,
    submission: { output, evidence: [], notes: null },
  });
  await applyCommands(db, task, { name: 'verify' }, { name: 'complete' });
}

async function begin(org: string, task: Task, worker: string): Promise<Task> {
  const taken = await accept(db, await offerTo(db, task, [worker]), worker);
  await applyCommands(db, taken, { name: 'start', worker_id: worker });
  return taskOf(db, org, task.task_id);
}

const workers = (org: string, count: number, capacity = 1) =>
  Promise.all(
    Array.from(
      { length: count },
      async (_, at) => (await addWorker(db, org, { worker_id: `w${at}`, capacity })).worker_id,
    ),
  );

describe('a worker', () => {
  it('gets one copy only, however many are offered to them at once', async () => {
    const given = await stage();
    await workers(given.org, 1, 5);
    const made = await Promise.all(given.ids.map((id) => offered(given.org, id, 'w0')));
    expect(made.filter((one) => one.ok)).toHaveLength(1);
    expect(made.filter((one) => !one.ok).map((one) => (one.ok ? '' : one.code))).toEqual([
      'worker_busy',
      'worker_busy',
    ]);
    expect((await workerOf(db, given.org, 'w0')).reservations).toHaveLength(1);
  });

  it.each([1, 2, 3])('has one of three copies after racing matches and accepts (%i)', async () => {
    const given = await stage();
    const names = await workers(given.org, 5, 3);
    await Promise.all([...given.ids, ...given.ids].map((id) => matchTask(db, given.org, id)));
    const copies = await copiesOf(given);
    expect(copies.map((one) => one.status)).toEqual(['offered', 'offered', 'offered']);
    // Every worker tries to accept every copy.
    await Promise.all(
      copies.flatMap((copy) =>
        names.map((worker_id) => {
          const offer_id = copy.offers[0]?.offer_id ?? '';
          return changeTask(db, given.org, copy.task_id, [{ name: 'accept', offer_id, worker_id }], {
            actor: 'w',
          });
        }),
      ),
    );
    const holders = (await copiesOf(given)).map((one) => one.assignment?.worker_id);
    expect(new Set(holders).size).toBe(3);
    expect(holders).not.toContain(undefined);
    expect((await originalOf(given)).status).toBe('accepted');
  });

  it('who released a copy gets no other, but may get the same again', async () => {
    const given = await stage(2);
    await workers(given.org, 1);
    const [first = '', second = ''] = given.ids;
    const begun = await begin(given.org, await taskOf(db, given.org, first), 'w0');
    await applyCommands(db, begun, { name: 'release', worker_id: 'w0', reason: null });
    expect((await offered(given.org, second, 'w0')).ok).toBe(false);
    expect((await offered(given.org, first, 'w0')).ok).toBe(true);
  });

  it('who declined a copy is asked for another only after the cool-down', async () => {
    const given = await stage(2);
    await workers(given.org, 1);
    const [first = '', second = ''] = given.ids;
    const task = await offerTo(db, await taskOf(db, given.org, first), ['w0']);
    const offer_id = offerIdOf(task, 'w0');
    await applyCommands(db, task, { name: 'decline', offer_id, worker_id: 'w0', reason: null });
    expect((await offered(given.org, second, 'w0')).ok).toBe(false);
    expect(await matchTask(db, given.org, second)).toBe(true);
    expect((await taskOf(db, given.org, second)).status).toBe('queued');
    await matchTask(withClockAhead(db, 31_000), given.org, second);
    // One of them is: the first in the queue.
    expect((await copiesOf(given)).map((one) => one.status).sort()).toEqual(['offered', 'queued']);
  });

  it('whose offer was revoked is free for another copy', async () => {
    const given = await stage(2);
    await workers(given.org, 1);
    const [first = '', second = ''] = given.ids;
    await applyCommands(db, await offerTo(db, await taskOf(db, given.org, first), ['w0']), {
      name: 'revoke',
      worker_id: 'w0',
    });
    expect((await offered(given.org, second, 'w0')).ok).toBe(true);
  });
});

describe('answers that come in at once', () => {
  it('are all counted, and end the task once', async () => {
    const given = await stage(5);
    const names = await workers(given.org, 5);
    await Promise.all(
      given.ids.map(async (id, at) => begin(given.org, await taskOf(db, given.org, id), names[at] ?? '')),
    );
    await Promise.allSettled(
      given.ids.map((id, at) => answer(given, id, names[at] ?? '', at % 2 === 0 ? 'yes' : 'no')),
    );
    const done = await originalOf(given);
    expect([done.status, done.submission?.output]).toEqual(['completed', 'yes']);
    expect(done.agreement).toMatchObject({ agreed: true, agreeing: 3 });
    const copies = await copiesOf(given);
    expect(copies.every((one) => isFinal(one.status) || one.status === 'submitted')).toBe(true);
    for (const name of names) expect((await workerOf(db, given.org, name)).reservations).toEqual([]);
    for (const one of [done, ...copies])
      expect(await indexErrors(db, one)).not.toContain('is due although it is final');
  });

  it('after the end still end their copy, also one that does not pass the checks', async () => {
    const given = await stage(3);
    const names = await workers(given.org, 3);
    await Promise.all(
      given.ids.map(async (id, at) => begin(given.org, await taskOf(db, given.org, id), names[at] ?? '')),
    );
    const [a = '', b = '', late = ''] = given.ids;
    const submission = { output: 'no', evidence: [], notes: null };
    await applyCommands(db, await taskOf(db, given.org, late), {
      name: 'submit',
      worker_id: 'w2',
      submission,
    });
    await answer(given, a, 'w0', 'yes');
    await answer(given, b, 'w1', 'yes');
    expect((await originalOf(given)).status).toBe('completed');
    const checked = await applyCommands(db, await taskOf(db, given.org, late), {
      name: 'rework',
      feedback: 'wrong',
    });
    expect(checked.status).toBe('cancelled');
    expect((await workerOf(db, given.org, 'w2')).reservations).toEqual([]);
  });
});

describe('in the middle', () => {
  it('a cancellation ends all copies and frees their workers', async () => {
    const given = await stage();
    const names = await workers(given.org, 3);
    await begin(given.org, await taskOf(db, given.org, given.ids[0] ?? ''), 'w0');
    await offered(given.org, given.ids[1] ?? '', 'w1');
    await applyCommands(db, given.task, { name: 'cancel', reason: 'mistake' });
    expect((await copiesOf(given)).map((one) => one.status)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    for (const name of names) expect((await workerOf(db, given.org, name)).reservations).toEqual([]);
    const keys = orgKeysOf(db.prefix, given.org);
    expect(await db.redis.exists(keys.claims(given.task.task_id), keys.index('copies'))).toBe(0);
  });

  it('a removed worker leaves their copy to others, and their answer stays', async () => {
    const given = await stage(2);
    await workers(given.org, 3);
    const [first = '', second = ''] = given.ids;
    await answer(given, first, 'w0', 'yes');
    await begin(given.org, await taskOf(db, given.org, second), 'w1');
    for (const id of ['w0', 'w1']) await changeWorker(db, given.org, id, null);
    await applyCommands(db, await taskOf(db, given.org, second), { name: 'remove_worker', worker_id: 'w1' });
    await answer(given, second, 'w2', 'yes');
    expect(await originalOf(given)).toMatchObject({
      status: 'completed',
      agreement: { count: 2, agreeing: 2 },
    });
  });

  it('at the deadline the copies that nobody accepted are lost, and those at work go on', async () => {
    const deadline = new Date(db.clock.now() + 60_000).toISOString();
    const given = await stage(3, { sla: { urgency: 'normal', deadline } });
    await workers(given.org, 2);
    await begin(given.org, await taskOf(db, given.org, given.ids[0] ?? ''), 'w0');
    await begin(given.org, await taskOf(db, given.org, given.ids[1] ?? ''), 'w1');
    // As if the deadline had come; the commit itself asks Redis.
    const [, , third = ''] = given.ids;
    const key = orgKeysOf(db.prefix, given.org).task;
    for (const id of [...given.ids, given.task.task_id]) {
      const input = JSON.parse((await db.redis.hget(key(id), 'i')) ?? '{}');
      input.sla.deadline = new Date(db.clock.now() - 10).toISOString();
      await db.redis.hset(key(id), 'i', JSON.stringify(input));
    }
    await applyCommands(db, await taskOf(db, given.org, third), { name: 'deadline' });
    expect((await taskOf(db, given.org, third)).failure?.code).toBe('deadline_exceeded');
    expect((await originalOf(given)).status).toBe('started');
    await answer(given, given.ids[0] ?? '', 'w0', 'yes');
    await answer(given, given.ids[1] ?? '', 'w1', 'no');
    expect((await originalOf(given)).failure?.code).toBe('no_agreement');
  });

  it('a task of which no copy was accepted fails at its deadline, with its copies', async () => {
    const deadline = new Date(db.clock.now() + 30).toISOString();
    const given = await stage(2, { sla: { urgency: 'normal', deadline } });
    await expect.poll(() => db.clock.now() > Date.parse(deadline) + 5).toBe(true);
    await applyCommands(db, given.task, { name: 'deadline' });
    expect((await originalOf(given)).failure?.code).toBe('deadline_exceeded');
    expect((await copiesOf(given)).map((one) => one.status)).toEqual(['cancelled', 'cancelled']);
  });

  it('copies that use up their attempts count as lost', async () => {
    const given = await stage(2, { requirements: { max_attempts: 1 } });
    await workers(given.org, 2);
    for (const [at, id] of given.ids.entries()) {
      const begun = await begin(given.org, await taskOf(db, given.org, id), `w${at}`);
      const released = await changeTask(
        db,
        given.org,
        begun.task_id,
        [{ name: 'release', worker_id: `w${at}`, reason: null }],
        { actor: 'w' },
      );
      // The first loss makes agreement impossible and ends the task, and the second copy with it.
      if (!released.ok) expect(at).toBe(1);
      if ((await originalOf(given)).status === 'failed') break;
    }
    expect((await originalOf(given)).failure?.code).toBe('attempts_exhausted');
  });

  it('further copies are made for answers that differ, and the task is not offered itself', async () => {
    const given = await stage(2, {}, 3);
    await workers(given.org, 3);
    await answer(given, given.ids[0] ?? '', 'w0', 'yes');
    await answer(given, given.ids[1] ?? '', 'w1', 'no');
    const asked = await originalOf(given);
    expect([asked.status, asked.copies?.length, asked.offers]).toEqual(['started', 3, []]);
    const third = asked.copies?.[2]?.task_id ?? '';
    await matchTask(db, given.org, third);
    expect((await taskOf(db, given.org, third)).offers.map((one) => one.worker_id)).toEqual(['w2']);
  });
});

it('a task and its copies are purged together, with every key about them', async () => {
  const given = await stage(2, { audit: { log_required: true, retain_days: 1 } });
  await addPool(db, given.org);
  await workers(given.org, 2);
  await answer(given, given.ids[0] ?? '', 'w0', 'yes');
  await answer(given, given.ids[1] ?? '', 'w1', 'yes');
  const then = withClockAhead(db, 2 * 24 * 3600_000);
  const due = (await duePurges(then, partitionOf(given.org), 100)).due.filter(
    (one) => one.org_id === given.org,
  );
  expect(due.map((one) => one.task_id)).toEqual([given.task.task_id]);
  // The commit asks Redis for the time, so the note is moved instead of the clock.
  for (const one of due) await db.redis.zadd(one.key, db.clock.now() - 1, one.member);
  const again = (await duePurges(db, partitionOf(given.org), 100)).due.filter(
    (one) => one.org_id === given.org,
  );
  await db.redis.del(orgKeysOf(db.prefix, given.org).pendingDeliveries);
  expect(await purge(db, again)).toEqual({ tasks: 1, logs: 0 });
  const left: string[] = [];
  for (const key of await db.redis.keys(`${db.prefix}:*`)) {
    if ([given.task.task_id, ...given.ids].some((id) => key.includes(id))) left.push(key);
  }
  expect(left).toEqual([]);
});

describe('the number of commands', () => {
  const spent = async (act: () => Promise<unknown>) => {
    const calls = async () => {
      const stats = await db.redis.info('commandstats');
      const counts = [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].filter(
        ([, name]) => name !== 'info',
      );
      return counts.reduce((sum, [, , count]) => sum + Number(count), 0);
    };
    const before = await calls();
    await act();
    return (await calls()) - before;
  };
  // Without what other tests do meanwhile.
  const least = async (act: () => Promise<unknown>) => {
    const all: number[] = [];
    for (let round = 0; round < 5; round += 1) all.push(await spent(act));
    return Math.min(...all);
  };

  it('of a create with three copies is at most three and a half times that of a plain one', async () => {
    const one = await least(() => addTask(db, freshOrg(db)));
    const three = await least(() => stage(3));
    expect(three / one).toBeLessThanOrEqual(3.5);
  });
});
