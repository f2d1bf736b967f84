// Numbers of an org: what happened to its tasks in each hour or day, and how long it took.

import { countOf, type Histogram, quantiles, sumOf } from '../../../state/stats/histogram.ts';
import { addTally, type Dimension, NONE, newTally, OTHER, type Tally } from '../../../state/stats/tally.ts';
import { timestamp } from '../../../state/text/time.ts';
import { countOpenTasks, MAX_POOLS } from '../../../store/stats/open-tasks.ts';
import {
  loadStats,
  MAX_CELLS,
  TooManyCellsError,
  type StatsView as View,
} from '../../../store/stats/stats.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import { ApiError, invalidQuery } from '../../http/problem.ts';
import { route, scope } from '../../route.ts';
import { rangeOf } from './range.ts';
import { OpenTasksView, StatsQuery, StatsView } from './stats.schema.ts';

/** Shares of the quantiles in a response. */
const SHARES = [0.5, 0.9, 0.99];

export const statsRoutes = [
  route({
    method: 'GET',
    path: '/v1/stats',
    access: scope('stats:read'),
    tag: 'Stats',
    operationId: 'getStats',
    summary: 'Count tasks and measure their times',
    description: 'By hour or day (UTC); by default the last day or the last 30 days.',
    query: StatsQuery,
    responses: { 200: { description: 'The numbers, oldest first', schema: StatsView } },
    errors: ['pool_forbidden'],
    async handler({ deps: { db }, principal, query }) {
      const { interval = 'day', group_by } = query;
      const range = rangeOf(interval, query.from, query.to, db.clock.now());
      const buckets = await loadStats(db, principal.org_id, range, viewOf(principal, group_by ?? null)).catch(
        (error: unknown) => {
          if (!(error instanceof TooManyCellsError)) throw error;
          throw invalidQuery(
            'group_by',
            `gives more than ${MAX_CELLS} rows: ask for a shorter range, or without it`,
          );
        },
      );
      const row = (value: string, tally: Tally) => rowOf(group_by ?? null, value, tally);
      const [data, totals]: [object[], Map<string, Tally>] = [[], new Map()];
      for (const { start, groups } of buckets) {
        const time = timestamp(start);
        for (const [value, tally] of [...groups].sort(byValue)) {
          data.push({ start: time, ...row(value, tally) });
          const total = totals.get(value) ?? newTally();
          addTally(total, tally);
          totals.set(value, total);
        }
      }
      return {
        status: 200,
        body: {
          interval,
          group_by: group_by ?? null,
          from: timestamp(range.from),
          to: timestamp(range.to),
          totals: [...totals].sort(byValue).map(([value, tally]) => row(value, tally)),
          data,
        },
      };
    },
  }),
  route({
    method: 'GET',
    path: '/v1/stats/open-tasks',
    access: scope('stats:read'),
    tag: 'Stats',
    operationId: 'countOpenTasks',
    summary: 'Count the open tasks',
    description: `At this moment, give or take two seconds. A key for some pools counts the tasks of these, at most ${MAX_POOLS}.`,
    responses: { 200: { description: 'The numbers', schema: OpenTasksView } },
    errors: ['pool_forbidden'],
    async handler({ deps: { db }, principal }) {
      const { org_id, pools } = principal;
      if (pools.length > MAX_POOLS)
        throw new ApiError(
          'pool_forbidden',
          `A key for more than ${MAX_POOLS} pools cannot count open tasks. Use one for fewer, or for all.`,
        );
      const counts = await countOpenTasks(db, org_id, pools);
      return { status: 200, body: { at: timestamp(db.clock.now()), ...counts } };
    },
  }),
];

/**
 * Which tallies answer a query. The numbers of all tasks are the sum over their urgencies; those of a confined key are
 * the sum over its pools.
 * @throws ApiError 403 when a confined key groups by anything but the pool
 */
function viewOf({ pools }: KeyPrincipal, groupBy: Dimension | null): View {
  const isSum = groupBy === null;
  if (pools.includes('*')) return { dimension: groupBy ?? 'urgency', only: null, isSum };
  if (groupBy !== null && groupBy !== 'pool')
    throw new ApiError('pool_forbidden', 'A key for some pools can group numbers only by pool.');
  return { dimension: 'pool', only: pools, isSum };
}

/** By name; the row of all others last. */
function byValue([one]: [string, Tally], [other]: [string, Tally]): number {
  if ((one === OTHER) !== (other === OTHER)) return one === OTHER ? 1 : -1;
  return one < other ? -1 : 1;
}

function rowOf(groupBy: Dimension | null, value: string, { counts, times }: Tally): object {
  const of = (name: string) => counts.get(name) ?? 0;
  const failed = [...counts].filter(([name]) => name.startsWith('failed:'));
  return {
    group: groupBy === null || value === NONE || value === OTHER ? null : value,
    is_other: value === OTHER,
    created: groupBy === 'worker' ? null : of('created'),
    completed: of('completed'),
    failed: Object.fromEntries(failed.map(([name, count]) => [name.slice('failed:'.length), count])),
    cancelled: of('cancelled'),
    breached: { target_latency: of('breached:target_latency'), deadline: of('breached:deadline') },
    waiting_seconds: timesOf(times.waiting),
    handling_seconds: timesOf(times.handling),
    total_seconds: timesOf(times.total),
  };
}

function timesOf(parts: readonly Histogram[]): object {
  const histogram = sumOf(parts);
  const [p50 = null, p90 = null, p99 = null] = quantiles(histogram, SHARES).map(secondsOf);
  return { count: countOf(histogram), p50, p90, p99 };
}

/** The seconds of each quantile that was shown; a histogram has a few hundred different ones at most. */
const shownSeconds = new Map<number, number>();

function secondsOf(ms: number | null): number | null {
  if (ms === null) return null;
  const shown = shownSeconds.get(ms);
  if (shown !== undefined) return shown;
  // Four digits add a thousandth of the error of the histogram at most.
  const seconds = Number((ms / 1000).toPrecision(4));
  shownSeconds.set(ms, seconds);
  return seconds;
}
