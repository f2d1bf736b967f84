// How long a decline counts: the worker gets no offer during the cool-down, ranks last for 15 more minutes, and then
// normally. The test sets the clock to the millisecond.
import { expect, it } from 'vitest';
import { matchTask } from '../../src/processors/matching.ts';
import { checksOf } from '../../src/state/tasks/scheduled-checks.ts';
import type { Task } from '../../src/state/tasks/task.ts';
import {
  addTask,
  addWorker,
  applyCommands,
  freshOrg,
  offerIdOf,
  offerTo,
  openTestDb,
  taskOf,
  workThrough,
} from '../support/db.ts';
import { withClockAt } from '../support/processors.ts';

const db = await openTestDb();
const SECOND = 1000;
const QUARTER = 15 * 60 * SECOND;

const at = (now: number) => withClockAt(db, now);

/** Declines the pending offer of a worker. */
async function refuse(
  now: number,
  org: string,
  taskId: string,
  worker_id: string,
  retry?: number,
): Promise<Task> {
  const task = await taskOf(db, org, taskId);
  const about = { offer_id: offerIdOf(task, worker_id), worker_id, reason: null };
  return applyCommands(at(now), task, { name: 'decline', ...about, retry_after_seconds: retry });
}

/** A queued task that `first`, the longest idle worker, declined at `now`. */
async function refused(retry_after_seconds?: number) {
  const now = db.clock.now();
  const org = freshOrg(db);
  await addWorker(db, org, { worker_id: 'first', idle_since: now - 9000 });
  const { task_id } = await addTask(at(now), org, { sla: { urgency: 'low' } });
  await matchTask(at(now), org, task_id);
  await refuse(now, org, task_id, 'first', retry_after_seconds);
  /** The worker who gets the offer when the task is matched at `then`, or null. The offer is revoked afterwards. */
  const askedAt = async (then: number) => {
    await matchTask(at(then), org, task_id);
    const task = await taskOf(db, org, task_id);
    if (task.status === 'queued') return null;
    const worker_id = task.offers[0]?.worker_id ?? '';
    await applyCommands(at(then), task, { name: 'revoke', worker_id });
    return worker_id;
  };
  return { now, org, taskId: task_id, askedAt };
}

it.each([
  ['at most half a minute', undefined, 30 * SECOND],
  ['as long as they said', 3600, 3600 * SECOND],
])(
  'a worker who declined is ranked normally 15 minutes after the cool-down: %s',
  async (_name, retryAfter, coolDown) => {
    const { now, org, askedAt } = await refused(retryAfter);
    expect(await askedAt(now + coolDown - 1)).toBeNull();
    expect(await askedAt(now + coolDown)).toBe('first');
    await addWorker(db, org, { worker_id: 'second', idle_since: now });
    expect(await askedAt(now + coolDown)).toBe('second');
    expect(await askedAt(now + coolDown + QUARTER - 1)).toBe('second');
    expect(await askedAt(now + coolDown + QUARTER)).toBe('first');
  },
);

it('a worker whose task was reassigned gets it again when no other worker is eligible', async () => {
  const now = db.clock.now();
  const org = freshOrg(db);
  const review = { mode: 'manual' } as const;
  const { worker_id } = await addWorker(db, org, { idle_since: now - 9000 });
  const task = await offerTo(db, await addTask(db, org, { review }), [worker_id]);
  const submitted = await workThrough(db, task, worker_id);
  const reassigned = await applyCommands(at(now), submitted, { name: 'reassign', feedback: null });
  const offersAt = async (then: number) => {
    await matchTask(at(then), org, task.task_id);
    return (await taskOf(db, org, task.task_id)).offers.filter((one) => one.status === 'pending');
  };
  expect(checksOf(reassigned)).toContainEqual({ kind: 'match', at: now + 30 * SECOND, after: 'cool_down' });
  expect(await offersAt(now + 30 * SECOND - 1)).toEqual([]);
  expect(await offersAt(now + 30 * SECOND)).toMatchObject([{ worker_id }]);
});

it('a decline that no longer counts is removed from the task', async () => {
  const { now, org, taskId } = await refused();
  await addWorker(db, org, { worker_id: 'second', idle_since: now });
  const later = now + 30 * SECOND + QUARTER;
  await matchTask(at(later - 1), org, taskId);
  const declined = await refuse(later, org, taskId, 'second');
  expect(declined.declines).toEqual([{ worker_id: 'second', until: later + 30 * SECOND }]);
});
