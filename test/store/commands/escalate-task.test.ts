// An escalation in its commit: input, indexes, offers and workers change together, also when other changes race it.
import { describe, expect, it } from 'vitest';
import type { Escalation, Task } from '../../../src/state/tasks/task.ts';
import { changeTask } from '../../../src/store/commands/change.ts';
import { planEscalations } from '../../../src/store/commands/escalate-task.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import type { Db } from '../../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { replaceInput } from '../../../src/store/tasks/replace-input.ts';
import { loadTask } from '../../../src/store/tasks/tasks.ts';
import { loadPool, poolWrites } from '../../../src/store/workers/pools.ts';
import { waitUntil } from '../../support/api.ts';
import {
  addOrg,
  addPool,
  addTask,
  addWorker,
  historyOf,
  indexErrors,
  offerIdOf,
  offerTo,
  openTestDb,
  taskOf,
  workerOf,
} from '../../support/db.ts';

const db = await openTestDb();

/** A task in pool a with one escalation, whose time has come. */
async function dueTask(escalation: Partial<Escalation>): Promise<{ org: string; task: Task }> {
  const org = await addOrg(db);
  for (const pool_id of ['a', 'b']) await addPool(db, org, { pool_id });
  for (const [worker_id, pool] of [
    ['in-a', 'a'],
    ['in-both', 'b'],
  ] as const)
    await addWorker(db, org, { worker_id, pool_ids: pool === 'a' ? ['a'] : ['a', 'b'] });
  const escalations: Escalation[] = [{ after_seconds: 1, while: 'unassigned', ...escalation }];
  const task = await addTask(db, org, { sla: { escalations }, requirements: { worker_pool_id: 'a' } });
  await waitUntil(task.created_at + 1000);
  await db.clock.sync();
  return { org, task };
}

const escalate = (at: Db, task: Task, loaded?: Awaited<ReturnType<typeof loadTask>>) =>
  changeTask(at, task.org_id, task.task_id, (now) => planEscalations(at, now), {
    actor: 'system',
    loaded: loaded ?? undefined,
  });
const indexed = async (task: Task, ...names: string[]) => {
  const keys = orgKeysOf(db.prefix, task.org_id);
  const scores = await Promise.all(names.map((name) => db.redis.zscore(keys.index(name), task.task_id)));
  return names.filter((_, index) => scores[index] !== null);
};
const INDEXES = ['pool:a', 'pool:b', 'urgency:normal', 'urgency:critical'];

describe('an escalation', () => {
  it('moves a queued task to the indexes and the matching queue of its new urgency and pool', async () => {
    const { task } = await dueTask({ urgency: 'critical', worker_pool_id: 'b' });
    expect(await indexed(task, ...INDEXES)).toEqual(['pool:a', 'urgency:normal']);
    expect(await escalate(db, task)).toMatchObject({ ok: true });
    const after = await taskOf(db, task.org_id, task.task_id);
    expect(after.input).toMatchObject({
      sla: { urgency: 'critical' },
      requirements: { worker_pool_id: 'b' },
    });
    expect(await indexed(task, ...INDEXES)).toEqual(['pool:b', 'urgency:critical']);
    expect(await indexErrors(db, after)).toEqual([]);
    // Its only check has run.
    expect(
      await db.redis.zscore(orgKeysOf(db.prefix, task.org_id).due, `${task.org_id} ${task.task_id}`),
    ).toBeNull();
    expect(await escalate(db, task)).toMatchObject({ ok: false, code: 'not_due' });
  });

  it('revokes the offers that no longer fit, and keeps those that do', async () => {
    for (const ids of [['in-a'], ['in-a', 'in-both']]) {
      const { org, task } = await dueTask({ worker_pool_id: 'b' });
      await offerTo(db, task, ids);
      expect(await escalate(db, task)).toMatchObject({ ok: true });
      const after = await taskOf(db, org, task.task_id);
      expect(after.status).toBe(ids.length === 1 ? 'queued' : 'offered');
      expect(after.offers.map((one) => one.status)).toEqual(['revoked', 'pending'].slice(0, ids.length));
      expect((await workerOf(db, org, 'in-a')).reservations).toEqual([]);
      expect((await workerOf(db, org, 'in-both')).reservations).toEqual(
        ids.length === 1 ? [] : [task.task_id],
      );
      const types = (await historyOf(db, task)).map((one) => one.type).slice(-2);
      expect(types).toEqual(
        ids.length === 1 ? ['task.escalated', 'task.queued'] : ['task.offered', 'task.escalated'],
      );
      expect(await indexErrors(db, after)).toEqual([]);
    }
  });

  it('shortens a pending offer in the index of the worker too', async () => {
    const { org, task } = await dueTask({ urgency: 'critical' });
    const offered = await offerTo(db, task, ['in-a'], 3600_000);
    await escalate(db, task);
    const [offer] = (await taskOf(db, org, task.task_id)).offers;
    const left = (offer?.expires_at ?? 0) - db.clock.now();
    expect(left).toBeGreaterThan(20_000);
    expect(left).toBeLessThanOrEqual(30_000);
    const member = `${offerIdOf(offered, 'in-a')} ${task.task_id}`;
    expect(Number(await db.redis.zscore(orgKeysOf(db.prefix, org).workerOffers('in-a'), member))).toBe(
      offer?.expires_at,
    );
  });

  it('skips a pool that is removed, also between the decision and the commit', async () => {
    const { org, task } = await dueTask({ urgency: 'high', worker_pool_id: 'b' });
    const remove = async () => {
      const pool = await loadPool(db, org, 'b');
      if (pool !== null) await commit(db.redis, poolWrites(db, pool, null));
    };
    let tries = 0;
    const changed = await changeTask(
      db,
      org,
      task.task_id,
      async (now) => {
        const plan = await planEscalations(db, now);
        tries += 1;
        if (tries === 1) await remove();
        return plan;
      },
      { actor: 'system' },
    );
    expect([changed.ok, tries]).toEqual([true, 2]);
    const last = (await historyOf(db, task)).at(-1);
    expect(last).toMatchObject({
      type: 'task.escalated',
      data: { urgency: 'high', missing_worker_pool_id: 'b' },
    });
    expect((await taskOf(db, org, task.task_id)).input.requirements).toEqual({ worker_pool_id: 'a' });
  });

  it('that races an accept either revokes the offer or finds the task assigned', async () => {
    const outcomes = new Set<string>();
    for (let round = 0; round < 8; round += 1) {
      const { org, task } = await dueTask({ worker_pool_id: 'b' });
      const offered = await offerTo(db, task, ['in-a']);
      const accept = { name: 'accept', offer_id: offerIdOf(offered, 'in-a'), worker_id: 'in-a' } as const;
      const take = () => changeTask({ ...db }, org, task.task_id, [accept], { actor: 'worker:in-a' });
      const [accepted] = await Promise.all(
        round % 2 === 0 ? [take(), escalate(db, task)] : [escalate(db, task).then(take), null],
      );
      const after = await taskOf(db, org, task.task_id);
      outcomes.add(after.status);
      expect(after.escalations).toBe(1);
      expect(after.status).toBe(accepted?.ok ? 'accepted' : 'queued');
      expect(after.input.requirements?.worker_pool_id).toBe(accepted?.ok ? 'a' : 'b');
      expect(await indexErrors(db, after)).toEqual([]);
    }
    expect(outcomes.size).toBe(2);
  });

  it('keeps a secret that was sealed again since the task was loaded', async () => {
    const { org, task } = await dueTask({ urgency: 'high' });
    const loaded = await loadTask(db, org, task.task_id);
    await replaceInput(db, org, task.task_id, (input) => ({ ...input, title: 'sealed again' }));
    expect(await escalate(db, task, loaded)).toMatchObject({ ok: true });
    const { input } = await taskOf(db, org, task.task_id);
    expect([input.title, input.sla.urgency]).toEqual(['sealed again', 'high']);
  });
});
