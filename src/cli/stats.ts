// `biolayer stats`: how many tasks there were and how long they took, as a table for a lead.

import type { GetStatsQuery } from '@biolayer/sdk';
import { type Command, Option } from 'commander';
import { DIMENSIONS } from '../state/stats/tally.ts';
import { showDuration } from './durations.ts';
import { givenOnly } from './flags.ts';
import { openSession, type Streams } from './session.ts';
import { at, listAt, textAt } from './value.ts';

interface StatsFlags {
  from?: string;
  to?: string;
  interval?: GetStatsQuery['interval'];
  groupBy?: GetStatsQuery['group_by'];
}

const SPANS = ['waiting', 'handling', 'total'] as const;

/** Adds `biolayer stats`. */
export function addStatsCommands(program: Command, streams: Streams): void {
  program
    .command('stats')
    .description('count tasks and measure their times; p50/p90/p99 of waiting, handling and total time')
    .option('--from <time>', 'RFC 3339 (default: 30 days ago; by hour: a day ago)')
    .option('--to <time>', 'RFC 3339 (default: now)')
    .addOption(
      new Option('--interval <interval>', 'one row for each (default: day)').choices(['hour', 'day']),
    )
    .addOption(
      new Option('--group-by <dimension>', 'one row for each group, of the whole range').choices(DIMENSIONS),
    )
    .action(async ({ from, to, interval, groupBy }: StatsFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const stats = await api.stats.get(givenOnly({ from, to, interval, group_by: groupBy }));
      out.answer(stats, () => {
        const [data, totals] = [listAt(stats, 'data').filter(hasNumbers), listAt(stats, 'totals')];
        out.note(`${textAt(stats, 'from')} to ${textAt(stats, 'to')}`);
        // Grouped rows of every interval are many; they are shown only when the interval was asked for.
        const rows = groupBy !== undefined && interval === undefined ? [] : data;
        if (rows.length + totals.length === 0) return out.note('No entries.');
        const start = rows.length > 0 ? ['start'] : [];
        const group = groupBy === undefined ? [] : [groupBy];
        out.rows([
          [...start, ...group, 'created', 'completed', 'failed', 'cancelled', 'breaches', ...SPANS],
          ...rows.map((row) => cellsOf(row, textAt(stats, 'interval'), rows.length > 0, groupBy)),
          ...totals.map((row) => cellsOf(row, 'total', rows.length > 0, groupBy)),
        ]);
      });
    });
}

/** Whether anything was counted; `created` alone suffices. */
function hasNumbers(row: unknown): boolean {
  const counts = ['created', 'completed', 'cancelled'].map((name) => Number(at(row, name) ?? 0));
  const times = SPANS.map((span) => Number(at(row, `${span}_seconds`, 'count') ?? 0));
  return [...counts, ...times, sumOf(at(row, 'failed')), sumOf(at(row, 'breached'))].some((one) => one > 0);
}

/** @param interval the interval of the row, or `total` for a row of the whole range. */
function cellsOf(row: unknown, interval: string, hasStart: boolean, groupBy: string | undefined): string[] {
  const count = (name: string) => String(at(row, name) ?? '-');
  return [
    ...(hasStart ? [interval === 'total' ? 'total' : startOf(row, interval)] : []),
    ...(groupBy === undefined ? [] : [groupOf(row)]),
    count('created'),
    count('completed'),
    String(sumOf(at(row, 'failed'))),
    count('cancelled'),
    String(sumOf(at(row, 'breached'))),
    ...SPANS.map((span) => quantilesOf(at(row, `${span}_seconds`))),
  ];
}

/** The day, or the day and hour, in UTC. */
function startOf(row: unknown, interval: string): string {
  const start = textAt(row, 'start');
  return interval === 'hour' ? start.slice(0, 16).replace('T', ' ') : start.slice(0, 10);
}

function groupOf(row: unknown): string {
  return at(row, 'is_other') === true ? '(others)' : textAt(row, 'group') || '(none)';
}

/** The three quantiles as durations, such as `2m / 5m / 1h`; `-` without any time. */
function quantilesOf(times: unknown): string {
  const values = ['p50', 'p90', 'p99'].map((name) => at(times, name));
  return values.every((value) => typeof value === 'number') ? values.map(showDuration).join(' / ') : '-';
}

/** The sum of a record of counts. */
function sumOf(counts: unknown): number {
  const values = typeof counts === 'object' && counts !== null ? Object.values(counts) : [];
  return values.reduce<number>((sum, one) => sum + Number(one), 0);
}
