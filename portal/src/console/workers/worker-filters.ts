// The filters and the order of the list of workers. They are kept in the address, so that a list can be shared and is there
// again after a reload.

import type { ListWorkersQuery, StatsTotal, Worker } from '@biolayer/sdk';
import { inTime } from './worker-data.ts';

export const FILTERS = ['q', 'availability', 'pool', 'skill', 'load', 'idle', 'quality'] as const;
type FilterName = (typeof FILTERS)[number];
export type Filters = Readonly<Record<FilterName, string>>;

/** Columns by which the list can be ordered. */
export const ORDERS = ['name', 'load', 'rating', 'accuracy', 'sla', 'lastSeen'] as const;
export type Order = (typeof ORDERS)[number];

export const LOADS = ['free', 'full'] as const;
export const IDLES = ['300', '3600', '28800', '86400'] as const;
export const QUALITIES = ['accuracy', 'rating', 'sla'] as const;

const LOW_ACCURACY = 0.8;
const LOW_RATING = 3;

export function filtersOf(params: URLSearchParams): Filters {
  return Object.fromEntries(FILTERS.map((name) => [name, params.get(name) ?? ''])) as Filters;
}

/** The filters that the API applies. Values that it does not know, from an old or edited address, are left out. */
export function queryOf({ availability, pool, skill, load, idle }: Filters): ListWorkersQuery {
  const known = (['available', 'away', 'offline'] as const).find((one) => one === availability);
  const skills = skill
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
  return {
    ...(known !== undefined && { availability: [known] }),
    ...(/^[\w-]{1,64}$/.test(pool) && { pool: [pool] }),
    ...(skills.length > 0 && { skill: skills.slice(0, 50) }),
    ...((load === 'full' || load === 'free') && { at_capacity: load === 'full' }),
    ...(/^\d{1,7}$/.test(idle) && { idle_for_seconds: Number(idle) }),
  };
}

type Stats = ReadonlyMap<string, StatsTotal>;

/** Applies the filters that the API does not have to the workers that are loaded. */
export function wanted(workers: readonly Worker[], { q, quality }: Filters, stats: Stats): Worker[] {
  const words = q.toLowerCase().trim();
  return workers.filter((worker) => {
    const isNamed =
      worker.name.toLowerCase().includes(words) || worker.worker_id.toLowerCase().includes(words);
    return isNamed && isOfQuality(worker, quality, stats);
  });
}

function isOfQuality(worker: Worker, quality: string, stats: Stats): boolean {
  if (quality === 'accuracy') return worker.accuracy !== null && worker.accuracy < LOW_ACCURACY;
  if (quality === 'rating') return worker.rating < LOW_RATING;
  if (quality === 'sla') return (inTime(stats.get(worker.worker_id)) ?? 1) < 1;
  return true;
}

/** Puts workers in order; those without a value come last. @param descending largest first. */
export function ordered(
  workers: readonly Worker[],
  order: Order,
  descending: boolean,
  stats: Stats,
): Worker[] {
  const rankOf = (worker: Worker): number | string | null => {
    switch (order) {
      case 'name':
        return worker.name;
      case 'load':
        return worker.active_tasks / worker.capacity;
      case 'rating':
        return worker.rating;
      case 'accuracy':
        return worker.accuracy;
      case 'sla':
        return inTime(stats.get(worker.worker_id));
      case 'lastSeen':
        return worker.last_seen_at ?? null;
    }
  };
  return workers.toSorted((a, b) => {
    const [first, second] = [rankOf(a), rankOf(b)];
    if (first === null || second === null) return Number(first === null) - Number(second === null);
    const difference =
      typeof first === 'string' ? first.localeCompare(String(second)) : first - Number(second);
    return descending ? -difference : difference;
  });
}
