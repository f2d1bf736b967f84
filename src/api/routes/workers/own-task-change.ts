// Changes a task on behalf of its worker.

import type { Task } from '../../../state/tasks/task.ts';
import type { ChangeOptions, Plan } from '../../../store/commands/change.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { nullIfBroken } from '../../../store/redis/unreadable.ts';
import { loadTask } from '../../../store/tasks/tasks.ts';
import { loadWorker } from '../../../store/workers/workers.ts';
import { isOwnTask } from '../../access/own-task.ts';
import type { WorkerPrincipal } from '../../access/principal.ts';
import { requireVersion } from '../../http/etag.ts';
import { notFound } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import type { Call } from '../../route.ts';
import { commandAndRespond } from '../tasks/task-response.ts';
import { workerTaskResponse } from './worker-task.schema.ts';

/** Reads a task and its worker in one round trip, for a change that concerns both. */
export async function readForChange(
  db: Db,
  { org_id, worker_id }: WorkerPrincipal,
  taskId: string,
): Promise<Pick<ChangeOptions, 'loaded' | 'loadedWorkers'>> {
  const [loaded, worker] = await Promise.all([
    loadTask(db, org_id, taskId),
    nullIfBroken(db, () => loadWorker(db, org_id, worker_id)),
  ]);
  return { loaded: loaded ?? undefined, loadedWorkers: worker === null ? [] : [worker] };
}

/**
 * Changes one of the worker's own tasks. `changeTask` loads the task, once per attempt.
 * @param plan plans the change for the version that the commit guards.
 * @param responseFor the response for the task after the change.
 * @param known from `readForChange`.
 * @throws ApiError 404 for the task of another worker, 412, or the refusal of the lifecycle
 */
export function changeOwnTask(
  call: Call<WorkerPrincipal, { task_id: string }>,
  plan: (task: Task) => Plan | Promise<Plan>,
  responseFor: (task: Task) => HttpResponse = workerTaskResponse,
  known: Pick<ChangeOptions, 'loaded' | 'loadedWorkers'> = {},
): Promise<HttpResponse> {
  const { principal, params, ifMatch } = call;
  const planOwn = (task: Task) => {
    if (!isOwnTask(task, principal)) throw notFound();
    requireVersion(task.version, ifMatch);
    return plan(task);
  };
  const about = { org_id: principal.org_id, task_id: params.task_id };
  return commandAndRespond(call, about, planOwn, responseFor, known);
}
