// Tasks by filters. The index of the most selective filter is scanned, and the other filters are applied to the tasks
// found in it, so that every page but the last is full.

import { matchesFilters, type TaskFilters } from '../../state/tasks/filters.ts';
import { timeOf } from '../../state/text/time.ts';
import type { Db } from '../redis/connection.ts';
import { idFloor } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { inEach, page, type Range } from '../redis/lists.ts';
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

/**
 * One page of the org's tasks that match the filters, by creation. As `page`.
 * @param range its bounds are those of the filters, from `spanOf`, or narrower.
 */
export async function filteredTasks(
  db: Db,
  orgId: string,
  filters: TaskFilters,
  range: Range,
  limit: number,
  signal?: AbortSignal,
): Promise<{ items: StoredTask[]; next: string | null }> {
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
