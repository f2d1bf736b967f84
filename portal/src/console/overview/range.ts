// The periods that the plots can show.

import { serverNow } from '../../shared/time/now.ts';

const DAY = 24 * 3600_000;
const RANGES = {
  day: { length: DAY, interval: 'hour' },
  week: { length: 7 * DAY, interval: 'day' },
  month: { length: 30 * DAY, interval: 'day' },
} as const;
export type Range = keyof typeof RANGES;
export const RANGE_NAMES = Object.keys(RANGES) as Range[];

/** The current hour goes on, ms. */
export const POLL = 60_000;

/** The query for a period that ends now. */
export function periodOf(range: Range): { interval: 'hour' | 'day'; from: string } {
  const { length, interval } = RANGES[range];
  return { interval, from: new Date(serverNow() - length).toISOString() };
}
