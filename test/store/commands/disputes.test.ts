// What the commit of a dispute writes: the task has ended, so its purge stays due when it was, and what replaced its packed
// record meanwhile is not undone.
import { expect, it } from 'vitest';
import type { Command } from '../../../src/state/tasks/command.ts';
import { changeTask } from '../../../src/store/commands/change.ts';
import { duePurges, purge } from '../../../src/store/maintenance/retention.ts';
import { orgKeysOf, partitionOf } from '../../../src/store/redis/keys.ts';
import { replaceInput } from '../../../src/store/tasks/replace-input.ts';
import { retentionEntry } from '../../../src/store/tasks/retention-index.ts';
import { loadTask } from '../../../src/store/tasks/tasks.ts';
import {
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  historyOf,
  indexErrors,
  offerTo,
  openTestDb,
  taskOf,
  workThrough,
} from '../../support/db.ts';
import { withClockAhead } from '../../support/processors.ts';

const db = await openTestDb();

async function rejectedTask(change: Parameters<typeof addTask>[2] = {}) {
  const org = freshOrg(db);
  const { worker_id } = await addWorker(db, org, { rating: 5 });
  const worked = await workThrough(
    db,
    await offerTo(db, await addTask(db, org, change), [worker_id]),
    worker_id,
  );
  const task = await applyCommands(db, worked, { name: 'reject', feedback: 'no', rating: 1 });
  const open: Command = { name: 'dispute', worker_id, text: 'It is right.' };
  return { org, worker_id, task, open };
}

it('leaves the indexes and the time of the purge as they are', async () => {
  const { org, task, open } = await rejectedTask();
  const { key, member } = retentionEntry(db, { ...task, log: false });
  const due = () => db.redis.zscore(key, member).then(Number);
  const before = await due();
  expect(before).toBe(task.status_changed_at + 365 * 86_400_000);
  // As if the purge had been postponed.
  await db.redis.zadd(key, before + 5, member);
  const disputed = await applyCommands(db, task, open);
  await applyCommands(db, disputed, { name: 'resolve_dispute', decision: 'uphold', text: null });
  const after = await taskOf(db, org, task.task_id);
  expect([await due(), after.status_changed_at, after.status]).toEqual([
    before + 5,
    task.status_changed_at,
    'failed',
  ]);
  expect(await indexErrors(db, after)).toEqual([]);
  expect((await historyOf(db, after)).length).toBe(after.sequence);
});

it('keeps an input that was resealed between loading and commit', async () => {
  const { org, task, open } = await rejectedTask();
  const loaded = await loadTask(db, org, task.task_id);
  if (loaded === null) throw new Error('no task');
  await replaceInput(db, org, task.task_id, (input) => ({ ...input, metadata: { sealed: 'anew' } }));
  const changed = await changeTask(db, org, task.task_id, [open], { actor: 'system', loaded });
  expect(changed.ok).toBe(true);
  const after = await taskOf(db, org, task.task_id);
  expect([after.dispute?.status, after.input.metadata]).toEqual(['open', { sealed: 'anew' }]);
});

it('does not bring back a history that was purged between loading and commit', async () => {
  const { org, task, open } = await rejectedTask({
    more: { audit: { log_required: false, retain_days: 1 } },
  });
  const loaded = await loadTask(db, org, task.task_id);
  if (loaded === null) throw new Error('no task');
  const due = (await duePurges(db, partitionOf(org), 10)).due.filter((one) => one.task_id === task.task_id);
  expect(await purge(db, due)).toEqual({ tasks: 0, logs: 1 });
  expect((await changeTask(db, org, task.task_id, [open], { actor: 'system', loaded })).ok).toBe(true);
  expect(await historyOf(db, task)).toEqual([]);
  expect((await loadTask(db, org, task.task_id))?.head).toBe('');
});

it('is purged with its task, also from the list of what is in review', async () => {
  const { org, task, open } = await rejectedTask();
  await applyCommands(db, task, open);
  const keys = orgKeysOf(db.prefix, org);
  const inReview = keys.index('in_review:true');
  expect(await db.redis.zscore(inReview, task.task_id)).toBe('0');
  const { key, member } = retentionEntry(db, { ...task, log: false });
  await db.redis.zadd(key, 1, member);
  // Later than the purge waits for an open dispute.
  const later = withClockAhead(db, 400 * 86_400_000);
  const due = (await duePurges(later, partitionOf(org), 10)).due.filter(
    (one) => one.task_id === task.task_id,
  );
  expect(await purge(later, due)).toEqual({ tasks: 1, logs: 0 });
  expect(await db.redis.zscore(inReview, task.task_id)).toBeNull();
  expect(await db.redis.exists(keys.task(task.task_id))).toBe(0);
});
