// How many attempts of deliveries succeeded, failed or were the last in each hour of an org. The script that records an
// attempt counts it, so that an attempt counts once, and only if it is recorded.

import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { fetched } from '../redis/unreadable.ts';
import { DAY, DAYS_KEPT, endOf, HOUR } from './sample-log.ts';
import { lengthOf, type StatsRange } from './stats.ts';

/** The state of the delivery after the attempt, under which each is counted. */
const STATUS_OF = { succeeded: 'succeeded', retried: 'pending', exhausted: 'exhausted' } as const;
export type DeliveryCounts = Record<keyof typeof STATUS_OF, number>;

/** Where an attempt is counted: in the hash of the day, in a field of the hour. @param at ms */
export function countedAt(
  db: Db,
  orgId: string,
  status: string,
  at: number,
): { key: string; field: string; expiresAt: number } {
  const day = Math.floor(at / DAY);
  const key = orgKeysOf(db.prefix, orgId).deliveryCounts(String(day));
  return { key, field: `${hourOf(at)} ${status}`, expiresAt: endOf(day, DAYS_KEPT) };
}

/** The counts of a range, by hour or day, oldest first. */
export async function loadDeliveryCounts(
  db: Db,
  orgId: string,
  { interval, from, to }: StatsRange,
): Promise<{ start: number; counts: DeliveryCounts }[]> {
  const firstDay = Math.floor(from / DAY);
  const days = await Promise.all(
    Array.from({ length: Math.ceil(to / DAY) - firstDay }, (_, index) => {
      const key = orgKeysOf(db.prefix, orgId).deliveryCounts(String(firstDay + index));
      return fetched(key, db.redis.hgetall(key));
    }),
  );
  const length = lengthOf(interval);
  return Array.from({ length: Math.ceil((to - from) / length) }, (_, index) => {
    const start = from + index * length;
    const fields = days[Math.floor(start / DAY) - firstDay] ?? {};
    return { start, counts: sumOf(fields, interval === 'day' ? HOURS : [hourOf(start)]) };
  });
}

const HOURS = Array.from({ length: 24 }, (_, hour) => hour);

function hourOf(at: number): number {
  return Math.floor(at / HOUR) % 24;
}

function sumOf(fields: Record<string, string>, hours: readonly number[]): DeliveryCounts {
  const of = (status: string) =>
    hours.reduce((sum, hour) => sum + (Number(fields[`${hour} ${status}`]) || 0), 0);
  return {
    succeeded: of(STATUS_OF.succeeded),
    retried: of(STATUS_OF.retried),
    exhausted: of(STATUS_OF.exhausted),
  };
}
