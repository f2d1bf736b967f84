// Creates tasks within the org's quota of open tasks, and the gold tasks that come with them.

import { randomUUID } from 'node:crypto';
import { drawGold, goldInput } from '../../../state/tasks/gold.ts';
import type { TaskInput } from '../../../state/tasks/task.ts';
import type { TaskTypeVersion } from '../../../state/tasks/task-type.ts';
import { createTask } from '../../../store/commands/change.ts';
import { loadTask } from '../../../store/tasks/tasks.ts';
import type { ApiDeps } from '../../deps.ts';
import { ApiError } from '../../http/problem.ts';

/** Retries of a create that failed because concurrent creates used up the quota. */
const RETRIES = 5;

type CreateOptions = Omit<Parameters<typeof createTask>[2], 'gold' | 'guards'> & {
  type: TaskTypeVersion | undefined;
  goldId?: string | undefined;
};

/** How many copies the task may have. */
function copiesOf({ output: { copies } }: TaskInput): number {
  return copies?.max_count ?? copies?.count ?? 0;
}

/**
 * The gold task that comes with a new task of this type, by chance. A repeated request need not draw the same: one commit creates
 * both tasks, or finds the first and creates none.
 */
function drawnGold(type: TaskTypeVersion | undefined, input: TaskInput): TaskInput | undefined {
  const item = type?.gold === undefined ? null : drawGold(type.gold, randomUUID());
  return type === undefined || item === null ? undefined : goldInput(input, type.defaults, item);
}

/**
 * `createTask`, within the org's limit of open tasks.
 * @param type the version of a task type that filled the task's body @param goldId of the gold task, if one comes with it
 * @throws ApiError 422 `quota_exceeded`
 */
export async function createWithinQuota(
  { db, usage }: Pick<ApiDeps, 'db' | 'usage'>,
  input: Parameters<typeof createTask>[1],
  options: CreateOptions,
): ReturnType<typeof createTask> {
  const { org_id, taskId } = options;
  const gold = drawnGold(options.type, input);
  for (let retries = RETRIES; ; retries -= 1) {
    try {
      const { guards } = await usage.openTasks(org_id, gold === undefined ? 1 : 2, copiesOf(input));
      const created = await createTask(db, input, {
        org_id,
        actor: options.actor,
        callerGuards: options.callerGuards,
        extraWrites: options.extraWrites,
        taskId,
        gold: gold && { input: gold, task_id: options.goldId },
        requirePool: options.requirePool,
        guards,
      });
      if (created.ok || created.code !== 'stale' || guards.length === 0 || retries === 0) return created;
    } catch (error) {
      // A repeated request whose task exists already needs no quota.
      const isFull = error instanceof ApiError && error.quota !== undefined;
      const made = isFull && taskId !== undefined ? await loadTask(db, org_id, taskId) : null;
      if (made === null) throw error;
      return { ok: true, task: made.task };
    }
  }
}
