// Counts of tasks over all orgs.
import { expect, it } from 'vitest';
import { tenantOf } from '../../../src/state/access/tenant.ts';
import { TaskCensus } from '../../../src/store/metrics/task-census.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { addOrg, addTask, applyCommands, openTestDb } from '../../support/db.ts';

const db = await openTestDb();

it('counts the tasks of all orgs by state and mode, with the oldest open ones, and keeps the answer', async () => {
  const [one, other, damaged] = [await addOrg(db), await addOrg(db), await addOrg(db)];
  const oldest = await addTask(db, one);
  await addTask(db, other);
  const sandbox = tenantOf(other, 'test');
  await db.redis.sadd(orgKeysOf(db.prefix, sandbox).orgs, sandbox);
  await addTask(db, sandbox);
  await applyCommands(db, await addTask(db, one), { name: 'cancel', reason: null });
  await db.redis.set(orgKeysOf(db.prefix, damaged).index('status:queued'), 'not an index');
  const census = new TaskCensus(db, 2);
  const first = await census.take();
  const found = (mode: string, status: string) =>
    first.counts.find((entry) => entry.mode === mode && entry.status === status);
  expect(found('live', 'queued')).toMatchObject({ count: 2, oldest: oldest.created_at });
  expect(found('test', 'queued')).toMatchObject({ count: 1 });
  expect(found('live', 'cancelled')).toMatchObject({ count: 1, oldest: null });
  expect(found('live', 'failed')).toMatchObject({ count: 0 });
  await addTask(db, one);
  expect(await census.take()).toBe(first);
  const later = await new TaskCensus(db, 0).take();
  expect(later.counts.find((entry) => entry.status === 'queued')?.count).toBe(3);
  expect(later.busiest).toEqual([]);
});

it('finds the tenants with most open tasks, and no more than it was asked for', async () => {
  const orgs = await Promise.all([3, 1, 2].map(async (count) => ({ count, org: await addOrg(db) })));
  for (const { count, org } of orgs) for (let at = 0; at < count; at += 1) await addTask(db, org);
  const sandbox = tenantOf(orgs[1]?.org ?? '', 'test');
  await db.redis.sadd(orgKeysOf(db.prefix, sandbox).orgs, sandbox);
  for (let at = 0; at < 4; at += 1) await addTask(db, sandbox);
  const { busiest } = await new TaskCensus(db, 2).take();
  expect(busiest.map(({ tenant_id, open }) => [tenant_id, open])).toEqual([
    [sandbox, 4],
    [orgs[0]?.org, 3],
  ]);
  expect(busiest[0]?.byStatus).toContainEqual({ status: 'queued', count: 4 });
  expect(busiest[0]?.byStatus.map(({ status }) => status)).not.toContain('completed');
});
