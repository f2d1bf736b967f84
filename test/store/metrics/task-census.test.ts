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
  const census = new TaskCensus(db);
  const counts = await census.counts();
  const found = (mode: string, status: string) =>
    counts.find((entry) => entry.mode === mode && entry.status === status);
  expect(found('live', 'queued')).toMatchObject({ count: 2, oldest: oldest.created_at });
  expect(found('test', 'queued')).toMatchObject({ count: 1 });
  expect(found('live', 'cancelled')).toMatchObject({ count: 1, oldest: null });
  expect(found('live', 'failed')).toMatchObject({ count: 0 });
  await addTask(db, one);
  expect(await census.counts()).toBe(counts);
  expect((await new TaskCensus(db).counts()).find((entry) => entry.status === 'queued')?.count).toBe(3);
});
