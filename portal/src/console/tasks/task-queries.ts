// What the pages of tasks load. The stream of events renews it (org-events.tsx).

import type { Task, TaskPage as TaskListPage } from '@biolayer/sdk';
import { useQuery } from '@tanstack/react-query';
import { api } from '../../shared/api/client.ts';
import { queries } from '../../shared/api/queries.tsx';
import { TASK_KEY, TASKS_KEY } from '../org-events.tsx';
import { apiFilters, type Filters, searchOf } from './filters.ts';

const PAGE_SIZE = 100;

/** One page of the list. While another one is loaded, the last one stays. @param cursor null for the first page */
export function useTaskPage(filters: Filters, cursor: string | null) {
  return useQuery<TaskListPage>({
    queryKey: [TASKS_KEY, 'list', searchOf(filters), cursor],
    queryFn: async ({ signal }): Promise<TaskListPage> =>
      api.tasks.list(
        { ...apiFilters(filters), limit: PAGE_SIZE, ...(cursor !== null && { cursor }) },
        { signal },
      ),
    // While another page is loaded, this one stays.
    placeholderData: (previous: TaskListPage | undefined) => previous,
  });
}

const taskKey = (id: string) => [TASK_KEY, id, 'task'];

export function useTask(id: string) {
  return useQuery({ queryKey: taskKey(id), queryFn: ({ signal }) => api.tasks.get(id, {}, { signal }) });
}

/** Shows the task that a change has answered with, and renews everything that depends on it. */
export function noteTask(task: Task): void {
  queries.setQueryData(taskKey(task.task_id), task);
  void queries.invalidateQueries({ queryKey: [TASK_KEY, task.task_id] });
  void queries.invalidateQueries({ queryKey: [TASKS_KEY] });
}

/** Makes a change conditional on the state that the person has seen. */
export function ifUnchanged({ version }: Task): { headers: Record<string, string> } {
  return { headers: { 'If-Match': `"${version}"` } };
}
