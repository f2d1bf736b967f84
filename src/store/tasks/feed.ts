// The org's feed: all events in the order of the commits, for integrators that poll or stream instead of receiving
// webhooks. The stream holds references; the events are in the history of their task. Stream fields: `r`, the reference, and
// `pool`; or `org_event`, the JSON of an event of the org itself. `feed-reference.ts` has the forms.

import type { HistoryEntry, TaskEvent } from '../../state/tasks/event.ts';
import type { EventType } from '../../state/tasks/lifecycle.ts';
import { readJson, readShape } from '../../state/text/forms.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { DUE_LUA, dueArguments, NotDueError } from '../redis/due.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScript } from '../redis/scripts.ts';
import { readReference, referenceFields } from './feed-reference.ts';

/** How long events stay in the feed, ms. */
export const FEED_KEPT = 30 * 24 * 3600 * 1000;

/** An event of the org itself rather than of a task. */
export interface OrgEvent {
  event_id: string;
  type: (typeof ORG_EVENT_TYPES)[number];
  at: string;
  actor: string;
  data: Record<string, unknown>;
}

export const ORG_EVENT_TYPES = ['webhook_endpoint.disabled'] as const;

/** The write that adds an event of the org itself to its feed. */
export function feedNote(key: string, event: OrgEvent): Write {
  return ['XADD', key, '*', 'org_event', JSON.stringify(event)];
}

export interface FeedReference {
  /** Position in the feed: `<stream entry>/<sequence>`. A cursor is the last position that was read. */
  position: string;
  task_id: string;
  sequence: number;
  type: EventType;
  /** Pool of the task, null for none; absent in entries of earlier versions. */
  pool?: string | null;
}

/** An event of the org itself, with its position in the feed. */
export interface FeedNote {
  position: string;
  note: OrgEvent;
}

/** The write that adds a commit's events to the feed, as one entry. */
export function feedWrite(
  key: string,
  taskId: string,
  pool: string | null,
  events: readonly TaskEvent[],
): Write {
  const types = events.map((event) => event.type);
  const reference = referenceFields(taskId, events[0]?.sequence ?? 0, types);
  return ['XADD', key, '*', ...reference, 'pool', pool ?? ''];
}

/**
 * References after a position (null: from the beginning), oldest first, none older than `FEED_KEPT`.
 * @param count number of commits whose events are read. @returns them, and whether there are more.
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

/** As `readFeed`, with the events of the org itself. */
export async function readWholeFeed(
  db: Db,
  orgId: string,
  after: string | null,
  count: number,
): Promise<{ entries: (FeedReference | FeedNote)[]; more: boolean }> {
  const oldest = String(db.clock.now() - FEED_KEPT);
  const [seenEntry = '', seen = '0'] = (after ?? '').split('/');
  const start = after === null || Number(seenEntry.split('-')[0]) < Number(oldest) ? oldest : seenEntry;
  // The entry with the last event that was read may hold more events of the same commit.
  const key = orgKeysOf(db.prefix, orgId).feed;
  const found = await db.redis.xrange(key, start, '+', 'COUNT', count + 1);
  const entries = found.flatMap(([entry, fields]): (FeedReference | FeedNote)[] => {
    const [name, text = ''] = fields;
    if (name === 'org_event') {
      const note = entry === seenEntry ? null : readOrgEvent(db, `${key} ${entry}`, text);
      return note === null ? [] : [{ position: `${entry}/0`, note }];
    }
    const read = readReference(fields);
    if (read === null) {
      db.onUnreadable?.({ key: `${key} ${entry}`, kind: 'broken', reason: 'not a reference to events' });
      return [];
    }
    const { task_id, first, types, pool } = read;
    const all = types.map((type, index) => {
      const sequence = first + index;
      const where = pool === undefined ? {} : { pool };
      return { position: `${entry}/${sequence}`, task_id, sequence, type, ...where };
    });
    return entry === seenEntry ? all.filter((one) => one.sequence > Number(seen)) : all;
  });
  return { entries, more: found.length > count };
}

function readOrgEvent(db: Db, key: string, text: string): OrgEvent | null {
  const json = readJson(text);
  const read =
    json.kind === 'known'
      ? readShape<OrgEvent>(json.value, { event_id: 'string', type: 'string', at: 'string', data: 'object' })
      : json;
  if (read.kind === 'known') return read.value;
  if (read.kind === 'broken') db.onUnreadable?.({ key, ...read });
  return null;
}

/** The position of the last event; `0-0/0` when there is none. */
export async function lastPosition(db: Db, orgId: string): Promise<string> {
  const [last] = await db.redis.xrevrange(orgKeysOf(db.prefix, orgId).feed, '+', '-', 'COUNT', 1);
  if (last === undefined) return '0-0/0';
  const [entry, fields] = last;
  const read = readReference(fields);
  return `${entry}/${read === null ? 0 : read.first + read.types.length - 1}`;
}

/** An event of the feed: the history entry with the id of its task. */
export type FeedEvent = HistoryEntry & { task_id: string };

/**
 * The stream ids of the feed are times of Redis' clock. They may be earlier or later than the `at` of the event by up to
 * this, ms.
 */
const EARLY = 2000;
const LATE = 5000;
/**
 * The part of the feed that holds the events of a time span (ms).
 * @returns the position before the first, and the time (ms) after which there are none.
 */
export function feedSpan(since: number, until: number): { before: string; end: number } {
  return { before: `${Math.max(0, since - EARLY)}-0/0`, end: until + LATE };
}

/** Entries read in the first step of a search; each step doubles it up to the second number. */
const FIRST_CHUNK = 10;
const LAST_CHUNK = 320;

/** Ids of the stream entries that refer to these events of a task. */
export async function findInFeed(
  db: Db,
  orgId: string,
  taskId: string,
  events: readonly Pick<HistoryEntry, 'sequence' | 'at'>[],
): Promise<string[]> {
  const found = new Set<string>();
  const missing = new Set(events.map((one) => one.sequence));
  const { feed } = orgKeysOf(db.prefix, orgId);
  for (const { sequence, at } of events) {
    const time = Date.parse(at);
    // The entry is nearly always within a few milliseconds; the earlier range is only read when it is not found there.
    for (const [from, to] of [
      [time - 5, time + LATE],
      [time - EARLY, time - 5],
    ] as const) {
      let start = String(from);
      for (let count = FIRST_CHUNK; missing.has(sequence); count = Math.min(2 * count, LAST_CHUNK)) {
        const chunk = await db.redis.xrange(feed, start, to, 'COUNT', count);
        for (const [entry, fields] of chunk) {
          const read = readReference(fields);
          if (read?.task_id !== taskId) continue;
          found.add(entry);
          for (const index of read.types.keys()) missing.delete(read.first + index);
        }
        if (chunk.length < count) break;
        start = `(${chunk.at(-1)?.[0]}`;
      }
    }
  }
  return [...found];
}

/** The clock of a process is ahead of Redis' clock by less than this, ms. */
const CLOCK_ERROR = 1000;

// ARGV: the time that must have come and the expected time (see `DUE_LUA`), the oldest time to keep.
// Returns the number of removed entries, or Redis' negated time when it is not due.
const TRIM = `${DUE_LUA}
local time = notDue(ARGV[1], ARGV[2])
if time then return -time end
-- First whole nodes of the stream, a bounded number at a time; then the rest of the last node.
local trimmed = redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[3], 'LIMIT', 1000)
if trimmed > 0 then return trimmed end
return redis.call('XTRIM', KEYS[1], 'MINID', ARGV[3])
`;

const runTrim = defineScript<number>(TRIM);

/**
 * Removes entries older than `FEED_KEPT` from the feed of an org.
 * @throws NotDueError when Redis' clock disagrees
 */
export async function trimFeed(db: Db, orgId: string): Promise<void> {
  const { feed } = orgKeysOf(db.prefix, orgId);
  const now = db.clock.now() - CLOCK_ERROR;
  const oldest = now - FEED_KEPT;
  for (let trimmed = 1; trimmed > 0; ) {
    trimmed = await runTrim(db.redis, [feed], [...dueArguments(db.clock, now), oldest]);
    if (trimmed < 0) throw new NotDueError(-trimmed);
  }
}
