// The org's feed: every event of every task in the order of the commits, for those who would rather ask
// than be told. The stream holds references; the entries themselves lie in their task's history.

import type { EventType } from '../../state/tasks/lifecycle.ts';
import type { HistoryEntry, TaskEvent } from '../../state/tasks/task.ts';
import { readJson, readShape } from '../../state/text/forms.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { DUE_LUA, dueArguments, NotDueError } from '../redis/due.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScripts } from '../redis/scripts.ts';

/** How long the feed goes back, ms. */
export const FEED_KEPT = 30 * 24 * 3600 * 1000;

/** Something that happened to the org itself rather than to a task of it. */
export interface OrgEvent {
  event_id: string;
  type: (typeof ORG_EVENT_TYPES)[number];
  at: string;
  actor: string;
  data: Record<string, unknown>;
}

export const ORG_EVENT_TYPES = ['webhook_endpoint.disabled'] as const;

/** The write that puts an event of the org itself into its feed. */
export function feedNote(key: string, event: OrgEvent): Write {
  return ['XADD', key, '*', 'o', JSON.stringify(event)];
}

export interface FeedReference {
  /** Position in the feed; a cursor names the last one seen. */
  position: string;
  task_id: string;
  sequence: number;
  type: EventType;
  /** Pool of the task, null for none; absent in what earlier versions wrote. */
  pool?: string | null;
}

/** Something that happened to the org itself, as it stands in the feed. */
export interface FeedNote {
  position: string;
  note: OrgEvent;
}

/** The write that puts a commit's events into the feed, as one entry. */
export function feedWrite(
  key: string,
  taskId: string,
  pool: string | null,
  events: readonly TaskEvent[],
): Write {
  const types = events.map((event) => event.type.slice('task.'.length)).join();
  return ['XADD', key, '*', 't', taskId, 's', events[0]?.sequence ?? 0, 'e', types, 'p', pool ?? ''];
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
  for (let from = after; ; ) {
    const { entries, more } = await readWholeFeed(db, orgId, from, count);
    const references = entries.filter((one) => 'task_id' in one);
    const last = entries.at(-1)?.position ?? null;
    if (references.length > 0 || !more || last === null) return { references, more };
    from = last;
  }
}

/** As `readFeed`, with what happened to the org itself. */
export async function readWholeFeed(
  db: Db,
  orgId: string,
  after: string | null,
  count: number,
): Promise<{ entries: (FeedReference | FeedNote)[]; more: boolean }> {
  const oldest = String(db.clock.now() - FEED_KEPT);
  const [seenEntry = '', seen = '0'] = (after ?? '').split('/');
  const start = after === null || Number(seenEntry.split('-')[0]) < Number(oldest) ? oldest : seenEntry;
  // The entry that holds the last event seen may hold more of the same commit.
  const key = orgKeysOf(db.prefix, orgId).feed;
  const found = await db.redis.xrange(key, start, '+', 'COUNT', count + 1);
  const entries = found.flatMap(([entry, fields]): (FeedReference | FeedNote)[] => {
    const [name, task_id = '', , first, , types = '', , pool] = fields;
    const where = pool === undefined ? {} : { pool: pool === '' ? null : pool };
    if (name === 'o') {
      const note = entry === seenEntry ? null : readNote(db, `${key} ${entry}`, task_id);
      return note === null ? [] : [{ position: `${entry}/0`, note }];
    }
    if (!Number.isInteger(Number(first))) {
      db.onUnreadable?.({ key: `${key} ${entry}`, kind: 'broken', reason: 'refers to no event' });
      return [];
    }
    const all = types.split(',').map((type, index) => {
      const sequence = Number(first) + index;
      return {
        position: `${entry}/${sequence}`,
        task_id,
        sequence,
        type: `task.${type}` as EventType,
        ...where,
      };
    });
    return entry === seenEntry ? all.filter((one) => one.sequence > Number(seen)) : all;
  });
  return { entries, more: found.length > count };
}

function readNote(db: Db, key: string, text: string): OrgEvent | null {
  const json = readJson(text);
  const read =
    json.kind === 'known'
      ? readShape<OrgEvent>(json.value, { event_id: 'string', type: 'string', at: 'string', data: 'object' })
      : json;
  if (read.kind === 'known') return read.value;
  if (read.kind === 'broken') db.onUnreadable?.({ key, ...read });
  return null;
}

/** The position of the last event; one before all others when there is none. */
export async function lastPosition(db: Db, orgId: string): Promise<string> {
  const [last] = await db.redis.xrevrange(orgKeysOf(db.prefix, orgId).feed, '+', '-', 'COUNT', 1);
  if (last === undefined) return '0-0/0';
  const [entry, [name, , , first, , types = '']] = last;
  if (name === 'o') return `${entry}/0`;
  return `${entry}/${Number(first) + types.split(',').length - 1}`;
}

/** An event of the feed: the history entry with the task it belongs to. */
export type FeedEvent = HistoryEntry & { task_id: string };

/** How much earlier, and later, than its `at` says a commit may stand in the feed, which goes by Redis' own clock, ms. */
const EARLY = 2000;
const LATE = 5000;
/** Where in the feed events of a time lie: the position before all of them, and the time (ms) behind which none stands. */
export function feedSpan(since: number, until: number): { before: string; end: number } {
  return { before: `${Math.max(0, since - EARLY)}-0/0`, end: until + LATE };
}

/** How many entries are looked through at first, and at most, in one step. */
const FEW = 10;
const MANY = 320;

/** The feed's entries that refer to these events of a task. */
export async function findInFeed(
  db: Db,
  orgId: string,
  taskId: string,
  events: readonly Pick<HistoryEntry, 'sequence' | 'at'>[],
): Promise<string[]> {
  const found = new Set<string>();
  const left = new Set(events.map((one) => one.sequence));
  const { feed } = orgKeysOf(db.prefix, orgId);
  for (const { sequence, at } of events) {
    const time = Date.parse(at);
    // Nearly always within a few milliseconds; the rest is looked through only for what is not there.
    for (const [from, to] of [
      [time - 5, time + LATE],
      [time - EARLY, time - 5],
    ] as const) {
      let start = String(from);
      for (let count = FEW; left.has(sequence); count = Math.min(2 * count, MANY)) {
        const chunk = await db.redis.xrange(feed, start, to, 'COUNT', count);
        for (const [entry, [, task_id, , first, , types = '']] of chunk) {
          if (task_id !== taskId) continue;
          found.add(entry);
          for (let index = 0; index < types.split(',').length; index += 1) left.delete(Number(first) + index);
        }
        if (chunk.length < count) break;
        start = `(${chunk.at(-1)?.[0]}`;
      }
    }
  }
  return [...found];
}

/** A process may be ahead of Redis by less than this, ms. */
const AHEAD = 1000;

// ARGV: the time from which on the entries are too old, what Redis' time ought to be, the oldest to stay.
const TRIM = `${DUE_LUA}
local time = notDue(ARGV[1], ARGV[2])
if time then return -time end
-- Whole nodes of the stream, some at a time; then what is left of the last.
local trimmed = redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[3], 'LIMIT', 1000)
if trimmed > 0 then return trimmed end
return redis.call('XTRIM', KEYS[1], 'MINID', ARGV[3])
`;

const withScript = defineScripts<{ biolayerTrim(...args: (string | number)[]): Promise<number> }>({
  biolayerTrim: { lua: TRIM, numberOfKeys: 1 },
});

/**
 * Takes out of the feed of an org what is older than it goes back.
 * @throws NotDueError when by Redis' own clock it is not
 */
export async function trimFeed(db: Db, orgId: string): Promise<void> {
  const { feed } = orgKeysOf(db.prefix, orgId);
  const now = db.clock.now() - AHEAD;
  const oldest = now - FEED_KEPT;
  for (let trimmed = 1; trimmed > 0; ) {
    trimmed = await withScript(db.redis).biolayerTrim(feed, ...dueArguments(db.clock, now), oldest);
    if (trimmed < 0) throw new NotDueError(-trimmed);
  }
}
