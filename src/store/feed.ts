// The org's feed: every event of every task in the order of the commits, for those who would rather ask
// than be told. The stream holds references; the entries themselves lie in their task's history.

import type { EventType } from '../state/lifecycle.ts';
import type { HistoryEntry, TaskEvent } from '../state/task.ts';
import type { Write } from './commit.ts';
import { orgKeysOf } from './keys.ts';
import type { Db } from './redis.ts';

/** How long the feed goes back, ms. */
export const FEED_KEPT = 30 * 24 * 3600 * 1000;

export interface FeedReference {
  /** Position in the feed; a cursor names the last one seen. */
  position: string;
  task_id: string;
  sequence: number;
  type: EventType;
}

/** The write that puts a commit's events into the feed, as one entry, and lets go of what is too old. */
export function feedWrite(key: string, taskId: string, events: readonly TaskEvent[], now: number): Write {
  const oldest = Math.max(0, now - FEED_KEPT);
  const types = events.map((event) => event.type.slice('task.'.length)).join();
  return ['XADD', key, 'MINID', '~', oldest, '*', 't', taskId, 's', events[0]?.sequence ?? 0, 'e', types];
}

/**
 * References behind `after` (null: from the beginning), oldest first, none older than the feed goes back: those
 * of the next `count` commits.
 */
export async function readFeed(
  db: Db,
  orgId: string,
  after: string | null,
  count: number,
): Promise<{ references: FeedReference[]; more: boolean }> {
  const oldest = String(db.clock.now() - FEED_KEPT);
  const [seenEntry = '', seen = '0'] = (after ?? '').split('/');
  const start = after === null || Number(seenEntry.split('-')[0]) < Number(oldest) ? oldest : seenEntry;
  // The entry that holds the last event seen may hold more of the same commit.
  const entries = await db.redis.xrange(orgKeysOf(db.prefix, orgId).feed, start, '+', 'COUNT', count + 1);
  const references = entries.flatMap(([entry, fields]) => {
    const [, task_id = '', , first, , types = ''] = fields;
    const all = types.split(',').map((type, index) => {
      const sequence = Number(first) + index;
      return { position: `${entry}/${sequence}`, task_id, sequence, type: `task.${type}` as EventType };
    });
    return entry === seenEntry ? all.filter((one) => one.sequence > Number(seen)) : all;
  });
  return { references, more: entries.length > count };
}

/** An event of the feed: the history entry with the task it belongs to. */
export type FeedEvent = HistoryEntry & { task_id: string };
