// A task is created where its org has room for one more.

import { createTask } from '../../../store/commands/change.ts';
import { together } from '../../../store/redis/commit.ts';
import { loadTask } from '../../../store/tasks/tasks.ts';
import type { ApiDeps } from '../../deps.ts';
import { ApiError } from '../../http/problem.ts';

/** How often a create is tried again that others came before on the last places. */
const RETRIES = 5;

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
      const room = await usage.openTask(org_id);
      const created = await createTask(db, input, {
        ...options,
        extraWrites: (task) => (extraWrites === undefined ? room : together(room, extraWrites(task))),
      });
      if (created.ok || created.code !== 'stale' || room.guards.length === 0 || retries === 0) return created;
    } catch (error) {
      // A repeat that finds what its first try made needs no room for it.
      const isFull = error instanceof ApiError && error.quota !== undefined;
      const made = isFull && taskId !== undefined ? await loadTask(db, org_id, taskId) : null;
      if (made === null) throw error;
      return { ok: true, task: made.task };
    }
  }
}
