// The tasks that a worker has or had, the newest first: their own, and their copies of tasks that several workers answer.

import { copiesIndex } from '../../state/tasks/attention.ts';
import type { Task } from '../../state/tasks/task.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { page, type Range } from '../redis/lists.ts';
import { loadTasks } from './tasks.ts';

/** One page of the tasks of a worker that `isShown` accepts, by creation. As `page`. */
export async function workerHistory(
  db: Db,
  orgId: string,
  workerId: string,
  range: Range,
  limit: number,
  isShown: (task: Task) => boolean,
  signal: AbortSignal,
): Promise<{ items: Task[]; next: string | null }> {
  const { index } = orgKeysOf(db.prefix, orgId);
  const load = async (ids: string[]) =>
    (await loadTasks(db, orgId, ids)).map((one) => (one !== null && isShown(one.task) ? one.task : null));
  const indexes = [index(`assigned_to:${workerId}`), index(copiesIndex(workerId))];
  return page(db, indexes, range, limit, load, undefined, signal);
}
