// The part of the sweeper that looks after matching queues: requests that were lost leave no trace, so a match is requested
// again for the first task of each queue.

import type { Queues } from '../queues/queues.ts';
import type { MatchRequest } from '../state/outbox.ts';
import { poolOf } from '../state/tasks/task.ts';
import { taskOfQueueMember } from '../state/workers/matching.ts';
import type { Db } from '../store/redis/connection.ts';
import { orgKeysOf } from '../store/redis/keys.ts';
import { forEachIntact, nullIfUnreadable } from '../store/redis/unreadable.ts';
import { loadTask, type StoredTask } from '../store/tasks/tasks.ts';
import {
  allMatchingQueues,
  type ListedMatchingQueue,
  removeEmptyMatchingQueue,
} from '../store/workers/matching-queues.ts';
import { requestMatching } from './matching.ts';

/** Tasks at the head of a matching queue that are tried until one can be read. */
const HEAD_TASKS = 10;

/** Matching queues, or ready workers, of a tenant that one sweep looks at. */
const AT_ONCE = 200;

/**
 * Requests matches for a tenant while workers are ready: for the ready workers, or, where there are fewer of them, for the first
 * tasks of the matching queues. So many queues beside one worker who fits none cost one request. Removes empty queues.
 * @param waitingSince only for tasks that have been queued since before this time, ms.
 * @param round number of the sweep.
 * @returns the number of queues that failed on their own; they are reported.
 */
export async function sweepMatchingQueues(
  db: Db,
  queues: Queues,
  orgId: string,
  waitingSince: number,
  round: number,
): Promise<number> {
  const keys = orgKeysOf(db.prefix, orgId);
  const listed = await allMatchingQueues(db, orgId);
  if (listed.length === 0) return 0;
  const ready = await db.redis.zcard(keys.readyBy('rating'));
  const byWorker = ready < listed.length;
  const requests: MatchRequest[] =
    byWorker && ready > 0 ? await readyWorkers(db, orgId, beginOf(ready, round)) : [];
  const from = beginOf(listed.length, round);
  const nameOf = (one: ListedMatchingQueue) => keys.matchingQueue(one.id);
  const failed = await forEachIntact(db, listed.slice(from, from + AT_ONCE), nameOf, async (one) => {
    if ((await db.redis.exists(nameOf(one))) === 0) return removeEmptyMatchingQueue(db, orgId, one);
    if (byWorker) return;
    const headTasks = await db.redis.zrange(nameOf(one), 0, `${HEAD_TASKS - 1}`);
    const stored = await firstReadable(db, orgId, headTasks.map(taskOfQueueMember));
    if (stored?.task.status !== 'queued' || stored.task.status_changed_at > waitingSince) return;
    requests.push({ kind: 'task', task_id: stored.task.task_id, pool: poolOf(stored.task) });
  });
  await requestMatching(db, queues, orgId, requests);
  return failed;
}

async function readyWorkers(db: Db, orgId: string, from: number): Promise<MatchRequest[]> {
  const key = orgKeysOf(db.prefix, orgId).readyBy('rating');
  const ids = await db.redis.zrange(key, from, `${from + AT_ONCE - 1}`);
  return ids.map((worker_id) => ({ kind: 'worker', worker_id }));
}

/** Where a sweep begins in a list of which it looks at `AT_ONCE`; over several sweeps, all are looked at. */
function beginOf(length: number, round: number): number {
  return (round % Math.ceil(length / AT_ONCE)) * AT_ONCE;
}

async function firstReadable(db: Db, orgId: string, ids: readonly string[]): Promise<StoredTask | null> {
  for (const id of ids) {
    const stored = await nullIfUnreadable(db, () => loadTask(db, orgId, id));
    if (stored !== null) return stored;
  }
  return null;
}
