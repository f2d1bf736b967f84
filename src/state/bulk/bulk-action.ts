// A bulk action: one change for many tasks, made by a job that runs in bounded steps. Pure: what it changes, what it
// counts, how fast it goes and how it ends.

import { type Run, restFor } from '../runs/run.ts';
import type { Command } from '../tasks/command.ts';
import type { TaskFilters } from '../tasks/filters.ts';
import type { TaskPatch } from '../tasks/patch.ts';
import { reviewCommands } from '../tasks/review-commands.ts';
import type { Task } from '../tasks/task.ts';

/** The actions, with the scope of the request that does the same to one task. */
export const ACTION_SCOPES = {
  cancel: 'tasks:cancel',
  requeue: 'tasks:assign',
  update: 'tasks:update',
  approve: 'tasks:review',
  reject: 'tasks:review',
} as const;

export type ActionName = keyof typeof ACTION_SCOPES;
export const ACTIONS = ['cancel', 'requeue', 'update', 'approve', 'reject'] as const satisfies ActionName[];

/** An action with the parameters of the request that does the same to one task. */
export type TaskAction =
  | { action: 'cancel'; reason: string | null }
  | { action: 'requeue'; reason: string }
  | { action: 'update'; changes: TaskPatch }
  | { action: 'approve' | 'reject'; feedback: string | null; rating: number | null };

/** The tasks: by their ids, or those that match the filters when their turn comes. */
export type Selection = { task_ids: readonly string[] } | { filter: TaskFilters };

export const BULK_STATUSES = ['pending', 'running', 'completed', 'cancelled', 'failed'] as const;
type BulkStatus = (typeof BULK_STATUSES)[number];

/** Why a bulk action failed: its credential no longer permits it. */
export const BULK_REASONS = ['credential_revoked', 'credential_expired', 'permission_reduced'] as const;
export type BulkReason = (typeof BULK_REASONS)[number];

export interface BulkAction extends Run {
  bulk_action_id: string;
  action: ActionName;
  status: BulkStatus;
  reason: BulkReason | null;
  /** Pools of the credential when it was created; a later narrowing of the credential applies too. */
  pools: readonly string[];
  /** The last task that it has dealt with; null at the start. */
  cursor: string | null;
  /** Number of its tasks; null until all that match a filter have been found. */
  total: number | null;
  /** Tasks dealt with: the sum of `done`, `failed` and `skipped`. */
  matched: number;
  /** Tasks changed. */
  done: number;
  /** Tasks that refused the change. */
  failed: number;
  /** Tasks that were final or no longer matched, or that the change would leave as they are. */
  skipped: number;
  created_by: string;
}

/** A task that refused the change. */
export interface BulkFailure {
  task_id: string;
  /** The code of the problem that the request for this task alone would have got. */
  code: string;
  detail: string;
}

/** What became of a task. */
export type BulkOutcome = 'done' | 'failed' | 'skipped';

/** Most ids of one bulk action. */
export const MAX_TASK_IDS = 1000;
/** Most bulk actions of an org that run at the same time. */
export const MAX_RUNNING = 5;
/** Failures that are listed. */
export const MAX_FAILURES = 100;
/** Most tasks of one step. */
export const BULK_STEP = 25;
/** Most tasks per second of all bulk actions of an org together. */
const BULK_RATE = 100;
/** Shortest pause between two steps, ms. */
const SHORTEST = 20;

/** The bulk action after it has dealt with a task. */
export function counted(before: BulkAction, taskId: string, outcome: BulkOutcome, now: number): BulkAction {
  return {
    ...before,
    status: 'running',
    cursor: taskId,
    matched: before.matched + 1,
    [outcome]: before[outcome] + 1,
    updated_at: now,
  };
}

/** How long it pauses after a step, ms. @param tasks dealt with in the step. @param running bulk actions of the org. */
export function restAfterStep(tasks: number, running: number): number {
  return Math.max(SHORTEST, restFor(tasks, BULK_RATE, running));
}

/**
 * The commands of an action other than an update; null when a reviewer decided before this submission was made.
 * @param decidedAt when the action was created, ms.
 */
export function commandsOf(
  task: Task,
  action: Exclude<TaskAction, { action: 'update' }>,
  decidedAt: number,
): Command[] | null {
  switch (action.action) {
    case 'cancel':
      return [{ name: 'cancel', reason: action.reason }];
    case 'requeue':
      return [{ name: 'requeue', reason: action.reason }];
    default: {
      const submitted_at = task.submission?.submitted_at;
      if (submitted_at !== undefined && submitted_at > decidedAt) return null;
      const { action: decision, feedback, rating } = action;
      return reviewCommands(task, decision, { feedback, rating, submitted_at });
    }
  }
}
