// Who may not have a task, whatever else holds: the workers that it excludes, decided here, and those who were assigned a task
// that it excludes, which depends on other records (`store/tasks/former-workers.ts`). Each task therefore keeps the workers to
// whom it was ever assigned.

import type { FieldError } from '../text/field-error.ts';
import { isObject } from '../text/forms.ts';
import { requirementsOf } from './relaxation.ts';
import type { Task } from './task.ts';

/** Most workers to whom one task is assigned. At this number it fails instead of returning to the queue. */
export const MAX_ASSIGNED_WORKERS = 100;

/** Notes that the task is assigned to the worker. */
export function recordWorker(task: Task, workerId: string): void {
  const { assigned_workers = [] } = task;
  if (!assigned_workers.includes(workerId)) task.assigned_workers = [...assigned_workers, workerId];
}

/** Whether the task excludes the worker by their id. */
export function isExcluded({ worker_id }: { worker_id: string }, task: Task): boolean {
  return requirementsOf(task).excluded_worker_ids?.includes(worker_id) === true;
}

/**
 * The errors of requirements that leave nobody, or exclude the workers of the task itself.
 * @param requirements may be invalid. @param taskId null for a new task
 */
export function exclusionErrors(requirements: unknown, taskId: string | null): FieldError[] {
  if (!isObject(requirements)) return [];
  const { worker_ids: only, excluded_worker_ids: not, excluded_tasks: tasks } = requirements;
  const errors: FieldError[] = [];
  if (Array.isArray(only) && only.length > 0 && Array.isArray(not)) {
    const excluded = new Set<unknown>(not);
    if (only.every((id) => excluded.has(id)))
      errors.push({ pointer: '/requirements/worker_ids', message: 'must name a worker who is not excluded' });
  }
  const itself = taskId !== null && Array.isArray(tasks) ? tasks.indexOf(taskId) : -1;
  if (itself >= 0)
    errors.push({
      pointer: `/requirements/excluded_tasks/${itself}`,
      message: 'must not be the task itself',
    });
  return errors;
}
