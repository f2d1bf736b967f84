// The response of a route that shows one task or changes it.

import type { Task } from '../../../state/tasks/task.ts';
import { taskView } from '../../../state/tasks/view.ts';
import { type Choice, changeTask } from '../../../store/commands/change.ts';
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
 * Changes a task for the caller and responds with it. The same commit stores the response for the `Idempotency-Key`.
 * @param loaded the task as the caller may see it @throws ApiError when the change is refused
 */
export async function changeAndRespond(
  { deps, ifMatch, actor, callerGuards, recordResponse }: TaskCall,
  loaded: StoredTask,
  choice: Choice,
): Promise<HttpResponse> {
  const { org_id, task_id } = loaded.task;
  const changed = await changeTask(deps.db, org_id, task_id, choice, {
    actor,
    callerGuards,
    ifVersion: ifMatch,
    loaded,
    extraWrites: (task) => recordResponse(() => taskResponse(task)),
  });
  if (!changed.ok) throw refusal(changed);
  return taskResponse(changed.task);
}

type TaskCall = Pick<Call, 'deps' | 'ifMatch' | 'actor' | 'callerGuards' | 'recordResponse'>;
