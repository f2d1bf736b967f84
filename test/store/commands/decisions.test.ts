// Decisions hold for the version that is committed: whatever changes between the look and the commit, the
// decision is made again, or refused. Each test makes the other change at the very moment in between.
import { describe, expect, it } from 'vitest';
import { OutputSchemas } from '../../../src/output-schema/output-schemas.ts';
import { verify } from '../../../src/processors/verification.ts';
import type { Command } from '../../../src/state/tasks/command.ts';
import { taskView, workerTaskView } from '../../../src/state/tasks/view.ts';
import { changeTask, createTask } from '../../../src/store/commands/change.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { loadTask } from '../../../src/store/tasks/tasks.ts';
import { loadPool, poolGuards, poolWrites } from '../../../src/store/workers/pools.ts';
import {
  accept,
  addPool,
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  offerTo,
  openTestDb,
  taskOf,
  workThrough,
} from '../../support/db.ts';
import { sampleInput } from '../../support/tasks.ts';

const db = await openTestDb();
const system = { actor: 'system' };
const submit = (worker_id: string, output: unknown): Command => ({
  name: 'submit',
  worker_id,
  submission: { output, evidence: [], notes: null },
});

describe('a choice of commands', () => {
  it('is asked again on the view that a change in between has left', async () => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const accepted = await accept(db, await offerTo(db, await addTask(db, org), [worker_id]), worker_id);
    const loaded = (await loadTask(db, org, accepted.task_id)) ?? undefined;
    const seen: string[] = [];
    const change = changeTask(
      db,
      org,
      accepted.task_id,
      async (task) => {
        seen.push(task.status);
        if (seen.length === 1) {
          // As a change by another process does.
          await db.redis.hincrby(orgKeysOf(db.prefix, org).task(accepted.task_id), 'v', 1);
        }
        if (seen.length === 2) throw new Error('refused on the fresh view');
        return { commands: [{ name: 'start', worker_id }] };
      },
      { ...system, loaded },
    );
    await expect(change).rejects.toThrow('refused on the fresh view');
    expect(seen).toEqual(['accepted', 'accepted']);
    expect((await taskOf(db, org, accepted.task_id)).status).toBe('accepted');
  });

  it('is asked again when what else it rests on has changed', async () => {
    const org = freshOrg(db);
    const pool = await addPool(db, org);
    const { task_id } = await addTask(db, org);
    let asked = 0;
    const changed = await changeTask(
      db,
      org,
      task_id,
      async () => {
        asked += 1;
        if ((await loadPool(db, org, pool.pool_id)) === null) return null;
        await commit(db.redis, poolWrites(db, pool, null));
        return {
          commands: [{ name: 'cancel', reason: null }],
          guards: poolGuards(db, org, [pool.pool_id]),
        };
      },
      system,
    );
    expect([asked, changed]).toMatchObject([2, { ok: false, code: 'not_due' }]);
    expect((await taskOf(db, org, task_id)).status).toBe('queued');
  });
});

it('a task is not created for a pool that was removed since it was looked for', async () => {
  const org = freshOrg(db);
  const input = sampleInput({ org_id: org, requirements: { worker_pool_id: 'pool' } });
  const create = () => createTask(db, input, { org_id: org, actor: 'system', requirePool: true });
  expect(await create()).toMatchObject({ ok: false, code: 'pool_gone' });
  await addPool(db, org);
  expect((await create()).ok).toBe(true);
});

it('a review is refused when another submission than the one looked at stands', async () => {
  const org = freshOrg(db);
  const { worker_id } = await addWorker(db, org);
  const offered = await offerTo(db, await addTask(db, org, { review: { mode: 'manual' } }), [worker_id]);
  const first = await workThrough(db, offered, worker_id);
  await applyCommands(db, first, { name: 'rework', feedback: 'more' });
  const second = await applyCommands(db, first, submit(worker_id, 'other'));
  const submitted_at = (second.submission?.submitted_at ?? 0) - 1;
  for (const name of ['approve', 'rework', 'reassign', 'reject'] as const)
    expect(
      await changeTask(db, org, first.task_id, [{ name, feedback: null, submitted_at }], system),
    ).toMatchObject({ ok: false, code: 'not_due' });
});

describe('the second check', () => {
  const onward: Command[] = [{ name: 'verify' }, { name: 'complete' }];

  it.each([
    ['an empty output', '', false, '/output must not be empty'],
    ['no evidence', 'done', true, '/evidence_ids must name evidence'],
  ])('sends %s back to its worker', async (_name, output, evidence_required, told) => {
    const schemas = new OutputSchemas();
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const input = sampleInput({ org_id: org });
    const created = await createTask(
      db,
      { ...input, output: { ...input.output, evidence_required } },
      { org_id: org, ...system },
    );
    if (!created.ok) throw new Error(created.message);
    const accepted = await accept(db, await offerTo(db, created.task, [worker_id]), worker_id);
    await applyCommands(db, accepted, { name: 'start', worker_id }, submit(worker_id, output));
    const choose = (task: typeof accepted) => verify(db, schemas, task, onward);
    const changed = await changeTask(db, org, accepted.task_id, choose, system);
    if (!changed.ok) throw new Error(changed.message);
    expect(changed.task).toMatchObject({ status: 'started', attempt: 2, assignment: { worker_id } });
    expect(changed.task.reviews[0]).toMatchObject({ decision: 'rework', reviewed_by: 'system' });
    expect(changed.task.reviews[0]?.feedback).toContain(told);
  });

  it('completes what is as it was asked for', async () => {
    const schemas = new OutputSchemas();
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const task = await workThrough(db, await offerTo(db, await addTask(db, org), [worker_id]), worker_id);
    const choose = (one: typeof task) => verify(db, schemas, one, onward);
    expect(await changeTask(db, org, task.task_id, choose, system)).toMatchObject({
      ok: true,
      task: { status: 'completed' },
    });
  });
});

describe('what was submitted', () => {
  it.each([
    ['rework', 'started', true],
    ['reassign', 'queued', false],
    ['reject', 'failed', true],
  ] as const)('is kept after %s, also in Redis', async (name, status, isTheirs) => {
    const org = freshOrg(db);
    const { worker_id } = await addWorker(db, org);
    const offered = await offerTo(db, await addTask(db, org, { review: { mode: 'manual' } }), [worker_id]);
    const task = await workThrough(db, offered, worker_id);
    const submitted = taskView(await taskOf(db, org, task.task_id)).submission;
    expect(submitted).toMatchObject({ worker_id, evidence: [] });
    await applyCommands(db, task, { name, feedback: 'no' });
    const after = await taskOf(db, org, task.task_id);
    expect(taskView(after)).toMatchObject({ status, submission: submitted, result: null });
    expect(workerTaskView(after).submission).toEqual(isTheirs ? submitted : null);
  });

  it('is not shown to the next worker', async () => {
    const org = freshOrg(db);
    const [one, other] = [await addWorker(db, org), await addWorker(db, org)];
    const offered = await offerTo(db, await addTask(db, org, { review: { mode: 'manual' } }), [
      one.worker_id,
    ]);
    const back = await applyCommands(db, await workThrough(db, offered, one.worker_id), {
      name: 'reassign',
      feedback: null,
    });
    const taken = await accept(db, await offerTo(db, back, [other.worker_id]), other.worker_id);
    expect(workerTaskView(taken).submission).toBeNull();
    expect(taskView(taken).submission).toMatchObject({ worker_id: one.worker_id });
  });
});
