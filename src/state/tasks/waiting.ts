// What a queued task waits for: a worker, or the reviewer of a report.

import type { Task } from './task.ts';

/** Whether the task waits for a reviewer because a worker reported it. */
export function isReported(task: Task): boolean {
  return task.status === 'queued' && task.report?.decision === null;
}

/** Whether the task waits for a worker. */
export function isWaiting(task: Task): boolean {
  return task.status === 'queued' && !isReported(task);
}
