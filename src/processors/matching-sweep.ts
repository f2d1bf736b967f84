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

/**
 * Requests a match for the first task of each matching queue of a tenant while workers are ready, and removes empty queues.
 * @param waitingSince only for tasks that have been queued since before this time, ms.
 * @returns the number of queues that failed on their own; they are reported.
 */
export async function sweepMatchingQueues(
  db: Db,
  queues: Queues,
  orgId: string,
  waitingSince: number,
): Promise<number> {
  const requests: MatchRequest[] = [];
  const keys = orgKeysOf(db.prefix, orgId);
  const ready = await db.redis.zcard(keys.readyBy('rating'));
  const matchingQueues = await allMatchingQueues(db, orgId);
  const nameOf = (matchingQueue: ListedMatchingQueue) => keys.matchingQueue(matchingQueue.id);
  const failed = await forEachIntact(db, matchingQueues, nameOf, async (matchingQueue) => {
    const headTasks = await db.redis.zrange(keys.matchingQueue(matchingQueue.id), 0, `${HEAD_TASKS - 1}`);
    if (headTasks.length === 0) return removeEmptyMatchingQueue(db, orgId, matchingQueue);
    if (ready === 0) return;
    const stored = await firstReadable(db, orgId, headTasks.map(taskOfQueueMember));
    if (stored?.task.status !== 'queued' || stored.task.status_changed_at > waitingSince) return;
    requests.push({ kind: 'task', task_id: stored.task.task_id, pool: poolOf(stored.task) });
  });
  await requestMatching(db, queues, orgId, requests);
  return failed;
}

async function firstReadable(db: Db, orgId: string, ids: readonly string[]): Promise<StoredTask | null> {
  for (const id of ids) {
    const stored = await nullIfUnreadable(db, () => loadTask(db, orgId, id));
    if (stored !== null) return stored;
  }
  return null;
}
