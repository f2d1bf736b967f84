// Tasks by filters. The index of the most selective filter is scanned, and the other filters are applied to the tasks
// found in it, so that every page but the last is full.

import { matchesFilters, type TaskFilters } from '../../state/tasks/filters.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import { timeOf } from '../../state/text/time.ts';
import { ARCHIVED, readArchivedMember } from '../redis/archive.ts';
import type { Db } from '../redis/connection.ts';
import { idFloor } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { afterArchived, inEach, page, type Range, scan } from '../redis/lists.ts';
import { loadTasks, type StoredTask } from './tasks.ts';

/** Filters with an index for each value, in which gold tasks of a type are too. */
const INDEXED = ['status', 'assigned_to'] as const;
/** Filters with an index for each value of real tasks alone. */
const INDEXED_REAL = ['domain', 'task_type', 'urgency', 'pool', 'product', 'request_id'] as const;
/** Filters whose tasks are in an index when they are true. */
const FLAGS = ['overdue', 'in_review', 'has_open_question', 'gold'] as const;
/** The index of the gold tasks of types. */
export const GOLD_INDEX = 'gold:true';

/** The ids of the creation times that the filters allow. */
export function spanOf({ created_after, created_before }: TaskFilters): Pick<Range, 'from' | 'to'> {
  return {
    from: created_after === undefined ? null : idFloor(timeOf(created_after) + 1),
    to: created_before === undefined ? null : idFloor(timeOf(created_before)),
  };
}

/**
 * The index keys of each filter, the filter with the fewest tasks first: it is scanned. Without filters, the index of all
 * tasks.
 */
export async function filterIndexes(
  db: Db,
  orgId: string,
  filters: TaskFilters,
): Promise<[string[], ...string[][]]> {
  const { index } = orgKeysOf(db.prefix, orgId);
  const named = (name: (typeof INDEXED | typeof INDEXED_REAL)[number]) => {
    const values = filters[name];
    return values === undefined ? [] : [[...new Set<string>(values)].map((one) => index(`${name}:${one}`))];
  };
  const real = filters.gold === true ? [] : INDEXED_REAL.flatMap(named);
  const gold = filters.gold === undefined ? [index(GOLD_INDEX)] : [];
  const wanted = [...INDEXED.flatMap(named), ...real.map((keys) => [...keys, ...gold])];
  for (const name of FLAGS) if (filters[name] === true) wanted.push([index(`${name}:true`)]);
  const [only, another] = wanted;
  if (only === undefined) return [[index('all'), ...gold]];
  if (another === undefined) return [only];
  const sized = await Promise.all(
    wanted.map(async (keys) => {
      const counts = await Promise.all(keys.map((key) => db.redis.zcard(key)));
      return { keys, size: counts.reduce((sum, count) => sum + count, 0) };
    }),
  );
  const [first = only, ...rest] = sized.sort((a, b) => a.size - b.size).map(({ keys }) => keys);
  return [first, ...rest];
}

/** One page of tasks that match the filters. */
export interface TaskPageQuery {
  orgId: string;
  filters: TaskFilters;
  /** Its bounds are those of the filters, from `spanOf`, or narrower. */
  range: Range;
  /** Most tasks of the page. */
  limit: number;
  /** Ends the search, so that the page is not full. */
  signal?: AbortSignal | undefined;
}

interface TaskPage {
  items: StoredTask[];
  /** The task after which the next page begins; null on the last page. */
  next: string | null;
}

/** A page of the org's tasks that match the filters, by creation. As `page`. */
export async function filteredTasks(db: Db, query: TaskPageQuery): Promise<TaskPage> {
  const { orgId, filters, range, limit, signal } = query;
  const [scanned, ...others] = await filterIndexes(db, orgId, filters);
  return page(
    db,
    scanned,
    range,
    limit,
    async (ids) =>
      (await loadTasks(db, orgId, ids)).map((stored) =>
        stored !== null && matchesFilters(stored.task, filters) ? stored : null,
      ),
    (ids) => inEach(db, others, ids),
    signal,
  );
}

/** Most archived tasks, and segments of them, that one page examines. */
const MAX_ARCHIVED = 1000;
const MAX_SEGMENTS = 8;
/** Archived tasks that are read at the same time. */
const ARCHIVED_STEP = 50;

/** As `filteredTasks`, with archived tasks, for which there are no other indexes than that of their creation. */
export async function filteredOfAllTime(db: Db, query: TaskPageQuery): Promise<TaskPage> {
  const { filters, range, limit } = query;
  const live = await filteredTasks(db, query);
  if (db.archive === undefined || !mayBeArchived(filters)) return live;
  const isAscending = range.order === 'asc';
  // Behind the end of that page there may be others that are not archived.
  const until = live.next === null ? {} : isAscending ? { to: live.next } : { from: live.next };
  const archived = await archivedTasks(db, { ...query, range: { ...range, ...until } });
  const end = archived.next ?? live.next;
  const isBefore = (a: string, b: string) => (isAscending ? a < b : a > b);
  // By id, because one may have been restored in between.
  const all = new Map([...live.items, ...archived.items].map((one) => [one.task.task_id, one]));
  const found = [...all.values()]
    .filter(({ task }) => end === null || !isBefore(end, task.task_id))
    .sort((a, b) => (isBefore(a.task.task_id, b.task.task_id) ? -1 : 1));
  const items = found.slice(0, limit);
  return { items, next: found.length > limit ? (items.at(-1)?.task.task_id ?? null) : end };
}

/** Whether an archived task, which is final and waits for nobody, can match the filters. */
function mayBeArchived({ status, overdue, in_review, has_open_question }: TaskFilters): boolean {
  if (overdue === true || in_review === true || has_open_question === true) return false;
  return status === undefined || status.some(isFinal);
}

/** A page of the archived tasks that match the filters; it may end before it is full. */
async function archivedTasks(db: Db, query: TaskPageQuery): Promise<TaskPage> {
  const { orgId, filters, range, limit, signal } = query;
  const items: StoredTask[] = [];
  const segments = new Set<string>();
  let last: string | null = null;
  let examined = 0;
  const index = orgKeysOf(db.prefix, orgId).index(ARCHIVED);
  for await (const chunk of scan(db, [index], { ...range, after: afterArchived(range) }))
    for (let at = 0; at < chunk.length; at += ARCHIVED_STEP) {
      const entries = chunk.slice(at, at + ARCHIVED_STEP).map(readArchivedMember);
      const end = entries.findIndex((one) => segments.add(one.segment).size > MAX_SEGMENTS);
      const step = (end === -1 ? entries : entries.slice(0, end)).map((one) => one.task_id);
      for (const [index, stored] of (await loadTasks(db, orgId, step)).entries()) {
        if (stored !== null && isListed(stored, filters)) {
          if (items.length === limit) return { items, next: last };
          items.push(stored);
        }
        last = step[index] ?? null;
      }
      examined += step.length;
      if (end !== -1 || examined >= MAX_ARCHIVED || signal?.aborted === true) return { items, next: last };
    }
  return { items, next: null };
}

function isListed({ task }: StoredTask, filters: TaskFilters): boolean {
  return task.copy_of === undefined && matchesFilters(task, filters);
}
