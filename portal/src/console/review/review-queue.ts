// The tasks that wait for a reviewer's decision, the longest first.

import type { Task } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { api } from '../../shared/api/client.ts';
import { queries } from '../../shared/api/queries.tsx';
import { TASKS_KEY } from '../org-events.tsx';
import { isDisputed, isReported } from '../tasks/task-facts.ts';

/** Tasks that are asked for at once: the oldest of those that wait. */
export const QUEUE_SIZE = 200;

const KEY = [TASKS_KEY, 'review'];

interface Queue {
  tasks: readonly Task[];
  /** Whether more wait. */
  hasMore: boolean;
}

export function useReviewQueue() {
  return useQuery({
    queryKey: KEY,
    queryFn: async ({ signal }): Promise<Queue> => {
      const { data, has_more } = await api.tasks.list(
        { in_review: true, order: 'asc', limit: QUEUE_SIZE },
        { signal },
      );
      const tasks = data.sort((one, other) => (waitsSince(one) < waitsSince(other) ? -1 : 1));
      return { tasks, hasMore: has_more };
    },
  });
}

/** When the wait began, RFC 3339. */
export function waitsSince(task: Task): string {
  if (isDisputed(task)) return task.dispute?.opened_at ?? task.updated_at;
  if (isReported(task)) return task.report?.reported_at ?? task.updated_at;
  return task.assignment?.submitted_at ?? task.updated_at;
}

/** Takes a task out of the queue, as soon as it is decided. */
export function leaveQueue(taskId: string): void {
  queries.setQueryData<Queue>(KEY, (queue) =>
    queue === undefined
      ? undefined
      : { ...queue, tasks: queue.tasks.filter((one) => one.task_id !== taskId) },
  );
}
