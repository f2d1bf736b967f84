// The org's feed: every event of every task in the order of the commits, for those who would rather ask
// than be told. The stream holds references; the entries themselves lie in their task's history.

import type { HistoryEntry } from '../state/task.ts';
import { orgKeysOf } from './keys.ts';
import type { Db } from './redis.ts';

/** How long the feed goes back, ms. */
export const FEED_KEPT = 30 * 24 * 3600 * 1000;

export interface FeedReference {
  /** Position in the feed, increasing. */
  position: string;
  task_id: string;
  sequence: number;
  type: string;
}

/** Up to `count` references behind `after` (null: from the beginning), oldest first, none older than the feed goes back. */
export async function readFeed(
  db: Db,
  orgId: string,
  after: string | null,
  count: number,
): Promise<FeedReference[]> {
  const oldest = String(db.clock.now() - FEED_KEPT);
  const start = after === null || Number(after.split('-')[0]) < Number(oldest) ? oldest : `(${after}`;
  const entries = await db.redis.xrange(orgKeysOf(db.prefix, orgId).feed, start, '+', 'COUNT', count);
  return entries.map(([position, fields]) => ({
    position,
    task_id: fields[1] ?? '',
    sequence: Number(fields[3]),
    type: `task.${fields[5]}`,
  }));
}

/** An event of the feed: the history entry with the task it belongs to. */
export type FeedEvent = HistoryEntry & { task_id: string };
