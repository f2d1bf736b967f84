// Lists of tasks and of their events. A list scans the index of the most selective filter and applies the other filters
// to the tasks it finds, so that every page but the last is full.

import { isInReview, isOverdue } from '../../../state/tasks/attention.ts';
import { openQuestionOf } from '../../../state/tasks/conversation-reading.ts';
import type { HistoryEntry } from '../../../state/tasks/event.ts';
import { isFinal, STATUSES, type Status } from '../../../state/tasks/lifecycle.ts';
import { poolOf, type Task, type Urgency } from '../../../state/tasks/task.ts';
import { taskView } from '../../../state/tasks/view.ts';
import { timeOf } from '../../../state/text/time.ts';
import { idFloor } from '../../../store/redis/ids.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { inEach, page } from '../../../store/redis/lists.ts';
import { loadTasks } from '../../../store/tasks/tasks.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import type { Answer } from '../../http/answer.ts';
import { DEFAULT_LIMIT, listAnswer, listScope, readCursor } from '../../http/list.ts';
import { DEADLINE_MEMBER, pageByDeadline } from './deadline-order.ts';

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
  created_after?: string;
  created_before?: string;
}

interface PageQuery {
  limit?: number;
  cursor?: string;
  order?: 'asc' | 'desc';
}

/** The orders of the list of tasks. */
export const ORDERS = ['created_at', 'deadline'] as const;
const OPEN = STATUSES.filter((status) => !isFinal(status));

const INDEXED = [
  'status',
  'domain',
  'task_type',
  'urgency',
  'pool',
  'product',
  'request_id',
  'assigned_to',
] as const;
/** Filters whose tasks are in an index when they are true. */
const FLAGS = ['overdue', 'in_review', 'has_open_question'] as const;

/**
 * A page of the org's tasks that match the filters and that the key may see. By deadline it lists tasks that have one,
 * the earliest first unless asked otherwise, and only open ones unless it is filtered by status.
 */
export async function listTasks(
  { db }: ApiDeps,
  principal: KeyPrincipal,
  query: TaskFilters & PageQuery & { order_by?: (typeof ORDERS)[number] },
  signal: AbortSignal,
): Promise<Answer> {
  const { limit = DEFAULT_LIMIT, cursor, order_by = 'created_at', ...rest } = query;
  const byDeadline = order_by === 'deadline';
  const { order = byDeadline ? 'asc' : 'desc', ...given } = rest;
  const filters: TaskFilters = { ...(byDeadline && { status: OPEN }), ...given };
  if (!principal.pools.includes('*'))
    filters.pool = principal.pools.filter((id) => given.pool === undefined || given.pool.includes(id));
  const span = {
    from: filters.created_after === undefined ? null : idFloor(timeOf(filters.created_after) + 1),
    to: filters.created_before === undefined ? null : idFloor(timeOf(filters.created_before)),
  };
  const { created_after, created_before, ...indexed } = filters;
  const scope = listScope('tasks', principal.org_id, indexed, span, order, order_by);
  const after = readCursor(scope, cursor, byDeadline ? DEADLINE_MEMBER : undefined);
  const range = { order, after, ...span };
  const keys = orgKeysOf(db.prefix, principal.org_id);
  const [scanned, ...others] = await indexesOf(db.redis, keys.index, filters);
  if (byDeadline) {
    const found = await pageByDeadline(db, principal.org_id, [scanned, ...others], range, limit, (task) =>
      matches(task, filters),
    );
    return listAnswer(found.items.map(taskView), scope, found.next);
  }
  const { items, next } = await page(
    db,
    scanned,
    range,
    limit,
    async (ids) =>
      (await loadTasks(db, principal.org_id, ids)).map((stored) =>
        stored !== null && matches(stored.task, filters) ? taskView(stored.task) : null,
      ),
    (ids) => inEach(db, others, ids),
    signal,
  );
  return listAnswer(items, scope, next);
}

/** The index keys of each filter, the filter with the fewest tasks first: it is scanned. Without filters, the index of all tasks. */
async function indexesOf(
  redis: ApiDeps['db']['redis'],
  keyOf: (name: string) => string,
  filters: TaskFilters,
): Promise<[string[], ...string[][]]> {
  const wanted = INDEXED.flatMap((name) => {
    const values = filters[name];
    return values === undefined ? [] : [[...new Set<string>(values)].map((one) => keyOf(`${name}:${one}`))];
  });
  for (const name of FLAGS) if (filters[name] === true) wanted.push([keyOf(`${name}:true`)]);
  const [only, another] = wanted;
  if (only === undefined) return [[keyOf('all')]];
  if (another === undefined) return [only];
  const sized = await Promise.all(
    wanted.map(async (keys) => {
      const counts = await Promise.all(keys.map((key) => redis.zcard(key)));
      return { keys, size: counts.reduce((sum, count) => sum + count, 0) };
    }),
  );
  const [first = only, ...rest] = sized.sort((a, b) => a.size - b.size).map(({ keys }) => keys);
  return [first, ...rest];
}

function matches(task: Task, filters: TaskFilters): boolean {
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
    (filters.has_open_question === undefined || filters.has_open_question === (openQuestionOf(task) !== null))
  );
}

/** A page of a task's history, oldest first unless asked otherwise. */
export function historyPage(
  entries: readonly HistoryEntry[],
  head: { sequence: number; hash: string } | null,
  taskId: string,
  { limit = DEFAULT_LIMIT, cursor, order = 'asc' }: PageQuery,
): Answer {
  const scope = listScope('history', taskId, order);
  const after = readCursor(scope, cursor);
  const ordered = order === 'asc' ? entries : entries.toReversed();
  const start = after === null ? 0 : ordered.findIndex((one) => String(one.sequence) === after) + 1;
  const shown = ordered.slice(start, start + limit);
  const last = shown.at(-1);
  const more = start + limit < ordered.length && last !== undefined;
  return listAnswer(shown, scope, more ? String(last.sequence) : null, { head });
}
