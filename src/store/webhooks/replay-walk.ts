// The read side of a replay. It walks the endpoint's lists of failed deliveries, or the org's feed when events that were
// never enqueued are wanted too. One walk continues behind the cursor, examines a bounded number and writes nothing.

import type { HistoryEntry } from '../../state/tasks/event.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import { poolOf, type Task } from '../../state/tasks/task.ts';
import { type Endpoint, wants } from '../../state/webhooks/endpoint.ts';
import { type AnyReplay, isChosen, type Replay } from '../../state/webhooks/replay.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { memberId, scan } from '../redis/lists.ts';
import { fetched, nullIfUnreadable } from '../redis/unreadable.ts';
import { feedSpan, readFeed } from '../tasks/feed.ts';
import { loadEvent } from '../tasks/tasks.ts';
import { requireDelivery } from './deliveries.ts';
import type { Delivery } from './delivery-record.ts';
import { type DeliveryTarget, deliveriesIndex, fieldOf, readListed } from './delivery-target.ts';

/** Feed references, or deliveries, examined in one walk. */
export const MAX_EXAMINED = 100;

type EndpointDelivery = DeliveryTarget & { endpoint_id: string };

/** A delivery of an event, as a replay or a redelivery finds it. */
export interface Found {
  target: DeliveryTarget;
  /** The stored and the parsed delivery; null when the event was never enqueued to the endpoint. */
  stored: Buffer | null;
  delivery: Delivery | null;
  eventAt: number;
  /** Version of a finished task, which may be purged meanwhile; null while the task is open. */
  finalVersion: number | null;
}

/** A delivery at a position of the walk, and whether the replay sends it. */
export type Seen = Found & { isSent: boolean };

export interface Walk {
  found: Found[];
  /** The endpoints of what was found; nothing is sent when one of them changes before the commit. */
  endpoints: readonly Endpoint[];
  examined: number;
  cursor: string | null;
  reached: number;
  /** Whether the walk reached the end. */
  walked: boolean;
}

/** One position of the walk. */
interface WalkPosition {
  /** The cursor to continue behind. */
  position: string;
  /** Null for a position without a delivery of the replay. */
  target: EndpointDelivery | null;
}

/** Walks on from the replay's cursor until `most` deliveries are found or the batch is examined. */
export async function walkOn(db: Db, replay: Replay, endpoint: Endpoint, most: number): Promise<Walk> {
  const isOfFailed = replay.deliveries === 'failed';
  const { positions, isLast } = isOfFailed
    ? await failedMembers(db, replay)
    : await feedPositions(db, replay, endpoint);
  const seen = await Promise.all(
    positions.map(({ target }) =>
      target === null ? null : nullIfUnreadable(db, () => examine(db, replay, endpoint, target)),
    ),
  );
  return { ...taken(replay, positions, seen, most, isLast), endpoints: [endpoint] };
}

/** What a walk has found at its positions, at most `most` deliveries. @param isLast whether no position follows these. */
export function taken(
  { cursor, reached }: AnyReplay,
  positions: readonly { position: string; target: object | null }[],
  seen: readonly (Seen | null)[],
  most: number,
  isLast: boolean,
): Omit<Walk, 'endpoints'> {
  const walk = { found: [] as Found[], examined: 0, cursor, reached, walked: false };
  for (const [index, { position, target }] of positions.entries()) {
    if (walk.found.length === most) return walk;
    walk.cursor = position;
    if (target !== null) walk.examined += 1;
    const one = seen[index] ?? null;
    if (one === null) continue;
    walk.reached = Math.max(walk.reached, one.eventAt);
    if (one.isSent) walk.found.push(one);
  }
  return { ...walk, walked: isLast };
}

interface Positions {
  positions: WalkPosition[];
  isLast: boolean;
}

async function failedMembers(db: Db, replay: Replay): Promise<Positions> {
  const { org_id, endpoint_id, since, until, cursor } = replay;
  const keys = orgKeysOf(db.prefix, org_id);
  const lists = (['exhausted', 'stopped'] as const).map((one) =>
    keys.index(deliveriesIndex(endpoint_id, one)),
  );
  // Members begin with the time of their event, as `listMember` writes it.
  const [from, to] = [since, until].map((at) => String(at).padStart(14, '0'));
  const range = { order: 'asc', after: cursor, from: from ?? null, to: to ?? null } as const;
  for await (const chunk of scan(db, lists, range)) {
    const positions = chunk.slice(0, MAX_EXAMINED).map((position): WalkPosition => {
      const target = readListed(org_id, memberId(position));
      // Test messages are not replayed.
      return { position, target: target.sequence === 0 ? null : { ...target, endpoint_id } };
    });
    return { positions, isLast: false };
  }
  return { positions: [], isLast: true };
}

async function feedPositions(db: Db, replay: Replay, endpoint: Endpoint): Promise<Positions> {
  const { org_id, endpoint_id, since, until, cursor } = replay;
  const span = feedSpan(since, until);
  const { references, more } = await readFeed(db, org_id, cursor ?? span.before, MAX_EXAMINED);
  const within = references.filter((one) => Number(one.position.split('-')[0]) <= span.end);
  const positions = within.map(({ position, task_id, sequence, type }): WalkPosition => {
    const isWanted = endpoint.events.includes(type);
    return { position, target: isWanted ? { org_id, task_id, sequence, endpoint_id } : null };
  });
  return { positions, isLast: !more || within.length < references.length };
}

/** Loads the delivery of an event to the endpoint; null when the event is not part of the replay. */
async function examine(
  db: Db,
  replay: Replay,
  endpoint: Endpoint,
  target: EndpointDelivery,
): Promise<Seen | null> {
  const loaded = await loadWithEvent(db, target);
  if (loaded === null) return null;
  const { task, event, ...found } = loaded;
  if (found.eventAt < replay.since || found.eventAt >= replay.until) return null;
  if (!wants(endpoint, event.type, poolOf(task))) return null;
  return { ...found, isSent: isChosen(replay.deliveries, found.delivery?.status ?? null) };
}

/** Loads a delivery with its event; null when there is no such event. @throws UnreadableRecord */
export async function loadWithEvent(
  db: Db,
  target: DeliveryTarget,
): Promise<(Found & { task: Task; event: HistoryEntry }) | null> {
  const key = orgKeysOf(db.prefix, target.org_id).deliveries(target.task_id);
  const [stored, about] = await Promise.all([
    fetched(key, db.redis.hgetBuffer(key, fieldOf(target))),
    loadEvent(db, target.org_id, target.task_id, target.sequence),
  ]);
  if (about === null) return null;
  const { task, event } = about;
  const delivery = stored === null ? null : requireDelivery(`${key} ${fieldOf(target)}`, stored);
  const finalVersion = isFinal(task.status) ? task.version : null;
  return { target, stored, delivery, eventAt: Date.parse(event.at), finalVersion, task, event };
}
