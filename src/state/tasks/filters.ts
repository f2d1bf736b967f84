// The filters by which tasks are listed and chosen.

import { isInReview, isOverdue } from './attention.ts';
import { openQuestionOf } from './conversation-status.ts';
import { isGold } from './gold.ts';
import { isFinal, STATUSES, type Status } from './lifecycle.ts';
import { poolOf, type Task, type Urgency } from './task.ts';

/** A task matches a list of values when it has one of them. Times are RFC 3339. */
export interface TaskFilters {
  status?: Status[];
  domain?: string[];
  urgency?: Urgency[];
  pool?: string[];
  task_type?: string[];
  product?: string[];
  request_id?: string[];
  assigned_to?: string[];
  overdue?: boolean;
  in_review?: boolean;
  has_open_question?: boolean;
  gold?: boolean;
  created_after?: string;
  created_before?: string;
}

/** The statuses of open tasks. */
export const OPEN = STATUSES.filter((status) => !isFinal(status));

/** The filters within the pools that a credential may see: `["*"]`, or a list. */
export function withinPools(filters: TaskFilters, pools: readonly string[]): TaskFilters {
  if (pools.includes('*')) return filters;
  return { ...filters, pool: pools.filter((id) => filters.pool === undefined || filters.pool.includes(id)) };
}

/** Whether the task matches the filters, apart from those of its creation time. */
export function matchesFilters(task: Task, filters: TaskFilters): boolean {
  const { origin, domain, task_type, sla } = task.input;
  const has = <T>(wanted: readonly T[] | undefined, value: T) =>
    wanted === undefined || wanted.includes(value);
  return (
    has(filters.status, task.status) &&
    has(filters.domain, domain) &&
    has(filters.urgency, sla.urgency) &&
    has<string | null>(filters.pool, poolOf(task)) &&
    has(filters.task_type, task_type) &&
    has(filters.product, origin.product) &&
    has(filters.request_id, origin.request_id) &&
    has<string | null>(filters.assigned_to, task.assignment?.worker_id ?? null) &&
    (filters.overdue ?? isOverdue(task)) === isOverdue(task) &&
    (filters.in_review ?? isInReview(task)) === isInReview(task) &&
    (filters.gold ?? isGold(task)) === isGold(task) &&
    (filters.has_open_question === undefined || filters.has_open_question === (openQuestionOf(task) !== null))
  );
}
