// The response of a route that shows one task or changes it.

import type { Task } from '../../../state/tasks/task.ts';
import { taskView } from '../../../state/tasks/view.ts';
import { type ChangeOptions, type Choice, changeTask } from '../../../store/commands/change.ts';
import type { StoredTask } from '../../../store/tasks/tasks.ts';
import { etag } from '../../http/etag.ts';
import { refusal } from '../../http/refusal.ts';
import type { HttpResponse } from '../../http/response.ts';
import type { Call } from '../../route.ts';

/** The task with its version as ETag. */
export function taskResponse(task: Task): HttpResponse {
  return { status: 200, body: taskView(task), headers: { ETag: etag(task) } };
}

/**
 * Changes a task for the caller and responds with it.
 * @param loaded the task as the caller may see it @throws ApiError when the change is refused
 */
export function changeAndRespond(
  call: TaskCall & Pick<Call, 'ifMatch'>,
  loaded: StoredTask,
  choice: Choice,
  responseFor: (task: Task) => HttpResponse = taskResponse,
): Promise<HttpResponse> {
  return commandAndRespond(call, loaded.task, choice, responseFor, { loaded, ifVersion: call.ifMatch });
}

/**
 * Changes a task and gives the response for the changed task. The same commit stores the response for the
 * `Idempotency-Key`.
 * @throws ApiError when the change is refused
 */
export async function commandAndRespond(
  { deps, actor, callerGuards, recordResponse }: TaskCall,
  { org_id, task_id }: Pick<Task, 'org_id' | 'task_id'>,
  choice: Choice,
  responseFor: (task: Task) => HttpResponse,
  known: Pick<ChangeOptions, 'loaded' | 'loadedWorkers' | 'ifVersion'> = {},
): Promise<HttpResponse> {
  const changed = await changeTask(deps.db, org_id, task_id, choice, {
    actor,
    callerGuards,
    extraWrites: (task) => recordResponse(() => responseFor(task)),
    ...known,
  });
  if (!changed.ok) throw refusal(changed);
  return responseFor(changed.task);
}

type TaskCall = Pick<Call, 'deps' | 'actor' | 'callerGuards' | 'recordResponse'>;
