// Creates tasks within the org's quota of open tasks.

import type { TaskInput } from '../../../state/tasks/task.ts';
import { createTask } from '../../../store/commands/change.ts';
import { merge } from '../../../store/redis/commit.ts';
import { loadTask } from '../../../store/tasks/tasks.ts';
import type { ApiDeps } from '../../deps.ts';
import { ApiError } from '../../http/problem.ts';

/** Retries of a create that failed because concurrent creates used up the quota. */
const RETRIES = 5;

/** How many copies the task may have. */
function copiesOf({ output: { copies } }: TaskInput): number {
  return copies?.max_count ?? copies?.count ?? 0;
}

/**
 * `createTask`, within the org's limit of open tasks.
 * @throws ApiError 422 `quota_exceeded`
 */
export async function createWithinQuota(
  { db, usage }: Pick<ApiDeps, 'db' | 'usage'>,
  input: Parameters<typeof createTask>[1],
  options: Parameters<typeof createTask>[2],
): ReturnType<typeof createTask> {
  const { org_id, taskId, extraWrites } = options;
  for (let retries = RETRIES; ; retries -= 1) {
    try {
      const room = await usage.openTask(org_id, copiesOf(input));
      const created = await createTask(db, input, {
        ...options,
        extraWrites: (task) => (extraWrites === undefined ? room : merge(room, extraWrites(task))),
      });
      if (created.ok || created.code !== 'stale' || room.guards.length === 0 || retries === 0) return created;
    } catch (error) {
      // A repeated request whose task exists already needs no quota.
      const isFull = error instanceof ApiError && error.quota !== undefined;
      const made = isFull && taskId !== undefined ? await loadTask(db, org_id, taskId) : null;
      if (made === null) throw error;
      return { ok: true, task: made.task };
    }
  }
}
