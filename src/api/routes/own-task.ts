// Which tasks a worker may see: their own alone.

import type { Task } from '../../state/task.ts';
import { loadTask, type StoredTask } from '../../store/tasks.ts';
import { notFound } from '../problem.ts';
import type { ApiDeps, WorkerPrincipal } from '../route.ts';

/** Whether the task is, or when it is over was, in this worker's hands. */
export function isMine(task: Task, principal: WorkerPrincipal): boolean {
  return task.assignment?.worker_id === principal.worker_id;
}

/** A task that is or last was this worker's. @throws ApiError 404 */
export async function ownTask(
  deps: ApiDeps,
  principal: WorkerPrincipal,
  taskId: string,
): Promise<StoredTask> {
  const stored = await loadTask(deps.db, principal.org_id, taskId);
  if (stored === null || !isMine(stored.task, principal)) throw notFound();
  return stored;
}
