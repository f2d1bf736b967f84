// Resealing and the purge of a history replace the packed record of a final task without a new version. Neither undoes the
// other.
import { afterEach, expect, it, vi } from 'vitest';
import type { Task } from '../../../src/state/tasks/task.ts';
import { forgetHistory } from '../../../src/store/commands/task-writes.ts';
import { duePurges, purge } from '../../../src/store/maintenance/retention.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import { partitionOf } from '../../../src/store/redis/keys.ts';
import { replaceInput } from '../../../src/store/tasks/replace-input.ts';
import { addTask, applyCommands, freshOrg, historyOf, openTestDb, taskOf } from '../../support/db.ts';

const db = await openTestDb();
afterEach(() => vi.restoreAllMocks());

async function finalTask(): Promise<Task> {
  const task = await addTask(db, freshOrg(db), { more: { audit: { log_required: false, retain_days: 9 } } });
  return applyCommands(db, task, { name: 'cancel', reason: null });
}
const reseal = ({ org_id, task_id }: Task) =>
  replaceInput(db, org_id, task_id, (input) => ({ ...input, metadata: { sealed: 'anew' } }));
const purgeOf = async ({ org_id, task_id }: Task) =>
  purge(
    db,
    (await duePurges(db, partitionOf(org_id), 100)).due.filter((one) => one.task_id === task_id),
  );

async function expectBoth(task: Task): Promise<void> {
  expect((await taskOf(db, task.org_id, task.task_id)).input.metadata).toEqual({ sealed: 'anew' });
  expect(await historyOf(db, task)).toEqual([]);
}

it('resealing does not bring back a history that was purged between its load and its commit', async () => {
  const task = await finalTask();
  let tries = 0;
  await replaceInput(db, task.org_id, task.task_id, (input) => {
    tries += 1;
    // Sent before the commit, on the same connection.
    if (tries === 1) void commit(db.redis, { guards: [], writes: forgetHistory(db, task) });
    return { ...input, metadata: { sealed: 'anew' } };
  });
  expect(tries).toBe(2);
  await expectBoth(task);
});

it('the purge of a history keeps an input that was resealed between its load and its commit', async () => {
  const task = await finalTask();
  // The purge reads the deliveries after the task.
  vi.spyOn(db.redis, 'hkeys').mockImplementationOnce(async () => {
    await reseal(task);
    return [];
  });
  expect(await purgeOf(task)).toEqual({ tasks: 0, logs: 0 });
  expect(await purgeOf(task)).toEqual({ tasks: 0, logs: 1 });
  await expectBoth(task);
});
