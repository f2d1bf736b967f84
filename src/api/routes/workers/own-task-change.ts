// Changes a task on behalf of its worker.

import type { Task } from '../../../state/tasks/task.ts';
import type { Plan } from '../../../store/commands/change.ts';
import { isOwnTask } from '../../access/own-task.ts';
import type { WorkerPrincipal } from '../../access/principal.ts';
import { requireVersion } from '../../http/etag.ts';
import { notFound } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import type { Call } from '../../route.ts';
import { commandAndRespond } from '../tasks/task-response.ts';
import { workerTaskResponse } from './worker-task.schema.ts';

/**
 * Changes one of the worker's own tasks. `changeTask` loads the task, once per attempt.
 * @param plan plans the change for the version that the commit guards.
 * @param responseFor the response for the task after the change.
 * @throws ApiError 404 for the task of another worker, 412, or the refusal of the lifecycle
 */
export function changeOwnTask(
  call: Call<WorkerPrincipal, { task_id: string }>,
  plan: (task: Task) => Plan | Promise<Plan>,
  responseFor: (task: Task) => HttpResponse = workerTaskResponse,
): Promise<HttpResponse> {
  const { principal, params, ifMatch } = call;
  const planOwn = (task: Task) => {
    if (!isOwnTask(task, principal)) throw notFound();
    requireVersion(task.version, ifMatch);
    return plan(task);
  };
  return commandAndRespond(call, { org_id: principal.org_id, task_id: params.task_id }, planOwn, responseFor);
}
