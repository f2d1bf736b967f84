// Lists of tasks and of their events.

import type { HistoryEntry } from '../../../state/tasks/event.ts';
import { matchesFilters, OPEN, type TaskFilters, withinPools } from '../../../state/tasks/filters.ts';
import { taskView } from '../../../state/tasks/view.ts';
import { filteredOfAllTime, filterIndexes, spanOf } from '../../../store/tasks/filtered.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { DEFAULT_LIMIT, listResponse, listScope, readCursor } from '../../http/list.ts';
import type { HttpResponse } from '../../http/response.ts';
import { DEADLINE_MEMBER, pageByDeadline } from './deadline-order.ts';

interface PageQuery {
  limit?: number;
  cursor?: string;
  order?: 'asc' | 'desc';
}

/** The orders of the list of tasks. */
export const ORDERS = ['created_at', 'deadline'] as const;
/**
 * A page of the org's tasks that match the filters and that the key may see. By deadline it lists tasks that have one,
 * the earliest first unless asked otherwise, and only open ones unless it is filtered by status.
 */
export async function listTasks(
  { db }: ApiDeps,
  principal: KeyPrincipal,
  query: TaskFilters & PageQuery & { order_by?: (typeof ORDERS)[number] },
  signal: AbortSignal,
): Promise<HttpResponse> {
  const { limit = DEFAULT_LIMIT, cursor, order_by = 'created_at', ...rest } = query;
  const byDeadline = order_by === 'deadline';
  const { order = byDeadline ? 'asc' : 'desc', ...given } = rest;
  // Gold tasks are not the integrator's own, but those that wait for an answer or a decision must be found.
  const isWaitedFor = given.in_review === true || given.has_open_question === true;
  const defaults = { ...(byDeadline && { status: OPEN }), ...(!isWaitedFor && { gold: false }) };
  const filters = withinPools({ ...defaults, ...given }, principal.pools);
  const span = spanOf(filters);
  const { created_after, created_before, ...indexed } = filters;
  const scope = listScope('tasks', principal.org_id, indexed, span, order, order_by);
  const after = readCursor(scope, cursor, byDeadline ? DEADLINE_MEMBER : undefined);
  const range = { order, after, ...span };
  if (byDeadline) {
    const indexes = await filterIndexes(db, principal.org_id, filters);
    const found = await pageByDeadline(db, principal.org_id, indexes, range, limit, (task) =>
      matchesFilters(task, filters),
    );
    return listResponse(found.items.map(taskView), scope, found.next);
  }
  const { items, next } = await filteredOfAllTime(db, {
    orgId: principal.org_id,
    filters,
    range,
    limit,
    signal,
  });
  const views = items.map(({ task }) => taskView(task));
  return listResponse(views, scope, next);
}

/** A page of a task's history, oldest first unless asked otherwise. */
export function historyPage(
  entries: readonly HistoryEntry[],
  head: { sequence: number; hash: string } | null,
  taskId: string,
  { limit = DEFAULT_LIMIT, cursor, order = 'asc' }: PageQuery,
): HttpResponse {
  const scope = listScope('history', taskId, order);
  const after = readCursor(scope, cursor);
  const ordered = order === 'asc' ? entries : entries.toReversed();
  const start = after === null ? 0 : ordered.findIndex((one) => String(one.sequence) === after) + 1;
  const shown = ordered.slice(start, start + limit);
  const last = shown.at(-1);
  const more = start + limit < ordered.length && last !== undefined;
  return listResponse(shown, scope, more ? String(last.sequence) : null, { head });
}
