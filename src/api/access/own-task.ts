// Which tasks a worker's token shows: their own alone, and of these none that the key which made it may not see.

import { isOfWorker, poolOf, type Task } from '../../state/tasks/task.ts';
import type { Worker } from '../../state/workers/worker.ts';
import { pendingOffers } from '../../store/tasks/pending-offers.ts';
import { loadTask, type StoredTask } from '../../store/tasks/tasks.ts';
import { loadWorker } from '../../store/workers/workers.ts';
import type { ApiDeps } from '../deps.ts';
import { notFound } from '../http/problem.ts';
import { maySeePool, type WorkerPrincipal } from './principal.ts';

/** Whether the task is assigned to this worker, or was when it ended. */
export function isOwnTask(task: Task, principal: WorkerPrincipal): boolean {
  const { assignment } = task;
  return assignment !== null && isOfWorker(assignment, principal) && mayShowTask(task, principal);
}

/** Whether the token may show the worker this task, and have them answer it. */
export function mayShowTask(task: Task, token: WorkerPrincipal): boolean {
  return maySeePool(token, poolOf(task));
}

/** The worker's pending offers that their token may show. */
export async function ownOffers(
  { db }: Pick<ApiDeps, 'db'>,
  principal: WorkerPrincipal,
): Promise<Awaited<ReturnType<typeof pendingOffers>>> {
  const offers = await pendingOffers(db, principal.org_id, principal.worker_id);
  return offers.filter(({ task }) => mayShowTask(task, principal));
}

/** A task that is or last was this worker's. @throws ApiError 404 */
export async function ownTask(
  deps: ApiDeps,
  principal: WorkerPrincipal,
  taskId: string,
): Promise<StoredTask> {
  const stored = await loadTask(deps.db, principal.org_id, taskId);
  if (stored === null || !isOwnTask(stored.task, principal)) throw notFound();
  return stored;
}

/** The worker who calls. @throws ApiError 404 */
export async function ownWorker(deps: ApiDeps, principal: WorkerPrincipal): Promise<Worker> {
  const worker = await loadWorker(deps.db, principal.org_id, principal.worker_id);
  if (worker === null) throw notFound();
  return worker;
}
