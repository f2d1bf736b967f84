// The range of a query for numbers.

import { timeOf } from '../../../state/text/time.ts';
import { DAY, DAYS_KEPT, HOURS_KEPT_DAYS } from '../../../store/stats/sample-log.ts';
import { lengthOf, type StatsRange } from '../../../store/stats/stats.ts';
import { invalidQuery } from '../../http/problem.ts';
import type { INTERVALS } from './stats.schema.ts';

type Interval = (typeof INTERVALS)[number];

/** Range without `from`, ms. */
const DEFAULT_RANGE = { hour: DAY, day: 30 * DAY };
/** Longest range, ms: as long as the numbers are kept. */
const LONGEST_RANGE = { hour: HOURS_KEPT_DAYS * DAY, day: DAYS_KEPT * DAY };

/** The whole hours or days of a range. @throws ApiError 400 when it is empty or too long */
export function rangeOf(
  interval: Interval,
  from: string | undefined,
  to: string | undefined,
  now: number,
): StatsRange {
  const length = lengthOf(interval);
  const end = Math.ceil((to === undefined ? now + 1 : timeOf(to)) / length) * length;
  const start =
    from === undefined ? end - DEFAULT_RANGE[interval] : Math.floor(timeOf(from) / length) * length;
  if (start >= end) throw invalidQuery('from', 'must be before to');
  if (end - start > LONGEST_RANGE[interval])
    throw invalidQuery(
      'from',
      `must be at most ${LONGEST_RANGE[interval] / DAY} days before to, by ${interval}`,
    );
  return { interval, from: start, to: end };
}
