// The next tasks of a bulk action, and the plan of its change for one of them: the commands and rules of the request that
// does the same to a single task.

import { maySeePool } from '../../state/access/permission.ts';
import {
  BULK_STEP,
  type BulkAction,
  commandsOf,
  type Selection,
  type TaskAction,
} from '../../state/bulk/bulk-action.ts';
import { matchesFilters, OPEN, type TaskFilters, withinPools } from '../../state/tasks/filters.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import { poolOf, type Task } from '../../state/tasks/task.ts';
import { parseTime } from '../../state/text/time.ts';
import type { Plan } from '../commands/change.ts';
import type { TaskProblem } from '../commands/refusals.ts';
import { patchProblem, planUpdate } from '../commands/update-task.ts';
import type { Db } from '../redis/connection.ts';
import { idFloor } from '../redis/ids.ts';
import { filteredTasks, spanOf } from '../tasks/filtered.ts';
import { loadTasks, type StoredTask } from '../tasks/tasks.ts';

/** A task that is next; `stored` as loaded a moment ago, if it was. */
export interface NextTask {
  task_id: string;
  stored: StoredTask | null;
}

/** The filters in force: open tasks unless they name a status, and within the pools. */
function filtersOf(filter: TaskFilters, pools: readonly string[]): TaskFilters {
  return withinPools({ status: OPEN, ...filter }, pools);
}

/** The range of the tasks after `cursor` that match and existed at `createdAt`, ms. */
function rangeOf(filter: TaskFilters, createdAt: number, cursor: string | null) {
  const { from, to } = spanOf(filter);
  const bound = idFloor(createdAt + 1);
  return { order: 'asc', after: cursor, from, to: to === null || bound < to ? bound : to } as const;
}

/**
 * The next tasks of a bulk action.
 * @param pools in force. @returns them, and the cursor behind what was examined; null when these are the last.
 */
export async function nextTasks(
  db: Db,
  { org_id, cursor, created_at }: BulkAction,
  selection: Selection,
  pools: readonly string[],
): Promise<{ tasks: NextTask[]; next: string | null }> {
  if ('task_ids' in selection) {
    const { task_ids } = selection;
    const start = cursor === null ? 0 : task_ids.indexOf(cursor) + 1;
    const ids = task_ids.slice(start, start + BULK_STEP);
    const isLast = start + ids.length >= task_ids.length;
    return {
      tasks: ids.map((task_id) => ({ task_id, stored: null })),
      next: isLast ? null : (ids.at(-1) ?? null),
    };
  }
  const filters = filtersOf(selection.filter, pools);
  const range = rangeOf(selection.filter, created_at, cursor);
  const { items, next } = await filteredTasks(db, { orgId: org_id, filters, range, limit: BULK_STEP });
  return { tasks: items.map((stored) => ({ task_id: stored.task.task_id, stored })), next };
}

/** Most tasks that a preview counts. */
const MAX_COUNTED = 2000;

/** How many tasks a bulk action would change or try to change now; `isExact` false: at least so many. */
export async function countTasks(
  db: Db,
  orgId: string,
  selection: Selection,
  pools: readonly string[],
  signal: AbortSignal,
): Promise<{ matched: number; isExact: boolean }> {
  if ('task_ids' in selection) {
    const found = await loadTasks(db, orgId, selection.task_ids);
    const open = found.filter(
      (one) => one !== null && isVisible(one.task, pools) && !isFinal(one.task.status),
    );
    return { matched: open.length, isExact: true };
  }
  const filters = filtersOf(selection.filter, pools);
  const range = rangeOf(selection.filter, db.clock.now(), null);
  const { items, next } = await filteredTasks(db, { orgId, filters, range, limit: MAX_COUNTED, signal });
  const open = items.filter(({ task }) => !isFinal(task.status));
  return { matched: open.length, isExact: next === null };
}

/** The plan for a task; `skip` when there is nothing to do; or the problem that refuses the change. */
export async function planFor(
  db: Db,
  task: Task,
  {
    action,
    selection,
    pools,
    decidedAt,
  }: {
    action: TaskAction;
    selection: Selection;
    /** Pools in force. */
    pools: readonly string[];
    /** When the bulk action was created, ms. */
    decidedAt: number;
  },
): Promise<Plan | 'skip' | { problem: TaskProblem }> {
  if (!isVisible(task, pools)) return { problem: { code: 'not_found', message: 'There is no such task.' } };
  if (isFinal(task.status)) return 'skip';
  if ('filter' in selection && !matchesFilters(task, filtersOf(selection.filter, pools))) return 'skip';
  if (action.action === 'update') {
    const { changes } = action;
    const problem =
      deadlineProblem(changes.sla?.deadline, db.clock.now()) ??
      (await patchProblem(db, task, changes, pools));
    return problem === null ? ((await planUpdate(db, task, changes)) ?? 'skip') : { problem };
  }
  const commands = commandsOf(task, action, decidedAt);
  if (commands !== null) return { commands };
  const message = 'The submission is newer than the bulk action.';
  return { problem: { code: 'invalid_transition', message } };
}

/** Copies of a task are their workers' alone. */
function isVisible(task: Task, pools: readonly string[]): boolean {
  return task.copy_of === undefined && maySeePool({ pools }, poolOf(task));
}

/** A deadline may have passed since the bulk action was created. */
function deadlineProblem(deadline: string | null | undefined, now: number): TaskProblem | null {
  if (deadline == null || (parseTime(deadline) ?? now) > now) return null;
  const errors = [{ pointer: '/sla/deadline', message: 'must be in the future' }];
  return { code: 'validation_failed', message: '/sla/deadline: must be in the future', errors };
}
