// What a replay comes by: the endpoint's lists of failed deliveries, or the org's feed where it asks for what was
// never owed too. One walk goes on behind the cursor, looks at so much and no more, and changes nothing.

import { isFinal } from '../../state/tasks/lifecycle.ts';
import { poolOf } from '../../state/tasks/task.ts';
import { type Endpoint, wants } from '../../state/webhooks/endpoint.ts';
import { isChosen, type Replay } from '../../state/webhooks/replay.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { memberId, scan } from '../redis/lists.ts';
import { fetched, readableOrNull } from '../redis/unreadable.ts';
import { feedSpan, readFeed } from '../tasks/feed.ts';
import { loadEvent } from '../tasks/tasks.ts';
import { deliveriesIndex, requireDelivery } from './deliveries.ts';
import type { Delivery } from './delivery-record.ts';
import { type DeliveryTarget, fieldOf, readListed } from './delivery-target.ts';

/** Commits of the feed, or deliveries, looked at in one walk. */
const LOOKED_AT = 100;

type EndpointDelivery = DeliveryTarget & { endpoint_id: string };

/** A delivery that is to be sent. */
export interface Found {
  owed: EndpointDelivery;
  /** As it is stored, and what that says; null when the event was never owed to the endpoint. */
  stored: Buffer | null;
  delivery: Delivery | null;
  eventAt: number;
  /** Version of a task that is over, and may be purged; null while it is open. */
  finalVersion: number | null;
}

export interface Walk {
  found: Found[];
  examined: number;
  cursor: string | null;
  reached: number;
  /** Nothing is left behind the cursor. */
  walked: boolean;
}

/** A place on the way. */
interface Place {
  /** To go on behind. */
  position: string;
  /** Null for what is not to be looked at. */
  owed: EndpointDelivery | null;
}

/** Walks on from the replay's cursor; at most `most` deliveries are found. */
export async function walkOn(db: Db, replay: Replay, endpoint: Endpoint, most: number): Promise<Walk> {
  const isOfFailed = replay.deliveries === 'failed';
  const { places, isLast } = isOfFailed
    ? await failedMembers(db, replay)
    : await feedPositions(db, replay, endpoint);
  const seen = await Promise.all(
    places.map(({ owed }) =>
      owed === null ? null : readableOrNull(db, () => lookAt(db, replay, endpoint, owed)),
    ),
  );
  const { cursor, reached } = replay;
  const walk: Walk = { found: [], examined: 0, cursor, reached, walked: false };
  for (const [index, { position, owed }] of places.entries()) {
    if (walk.found.length === most) return walk;
    walk.cursor = position;
    if (owed !== null) walk.examined += 1;
    const one = seen[index] ?? null;
    if (one === null) continue;
    walk.reached = Math.max(walk.reached, one.eventAt);
    if (one.isSent) walk.found.push(one);
  }
  return { ...walk, walked: isLast };
}

interface Places {
  places: Place[];
  isLast: boolean;
}

async function failedMembers(db: Db, replay: Replay): Promise<Places> {
  const { org_id, endpoint_id, since, until, cursor } = replay;
  const keys = orgKeysOf(db.prefix, org_id);
  const lists = (['exhausted', 'stopped'] as const).map((one) =>
    keys.index(deliveriesIndex(endpoint_id, one)),
  );
  // Members begin with the time of their event, as `listMember` writes it.
  const [from, to] = [since, until].map((at) => String(at).padStart(14, '0'));
  const range = { order: 'asc', after: cursor, from: from ?? null, to: to ?? null } as const;
  for await (const chunk of scan(db, lists, range)) {
    const places = chunk.slice(0, LOOKED_AT).map((position): Place => {
      const owed = readListed(org_id, memberId(position));
      // A test message is no event.
      return { position, owed: owed.sequence === 0 ? null : { ...owed, endpoint_id } };
    });
    return { places, isLast: false };
  }
  return { places: [], isLast: true };
}

async function feedPositions(db: Db, replay: Replay, endpoint: Endpoint): Promise<Places> {
  const { org_id, endpoint_id, since, until, cursor } = replay;
  const span = feedSpan(since, until);
  const { references, more } = await readFeed(db, org_id, cursor ?? span.before, LOOKED_AT);
  const within = references.filter((one) => Number(one.position.split('-')[0]) <= span.end);
  const places = within.map(({ position, task_id, sequence, type }): Place => {
    const isWanted = endpoint.events.includes(type);
    return { position, owed: isWanted ? { org_id, task_id, sequence, endpoint_id } : null };
  });
  return { places, isLast: !more || within.length < references.length };
}

/** What has become of an event to the endpoint; null when it is not one of the replay's. */
async function lookAt(
  db: Db,
  replay: Replay,
  endpoint: Endpoint,
  owed: EndpointDelivery,
): Promise<(Found & { isSent: boolean }) | null> {
  const key = orgKeysOf(db.prefix, owed.org_id).deliveries(owed.task_id);
  const [stored, about] = await Promise.all([
    fetched(key, db.redis.hgetBuffer(key, fieldOf(owed))),
    loadEvent(db, owed.org_id, owed.task_id, owed.sequence),
  ]);
  if (about === null) return null;
  const { task, event } = about;
  const eventAt = Date.parse(event.at);
  if (eventAt < replay.since || eventAt >= replay.until) return null;
  if (!wants(endpoint, event.type, poolOf(task))) return null;
  const delivery = stored === null ? null : requireDelivery(`${key} ${fieldOf(owed)}`, stored);
  const isSent = isChosen(replay.deliveries, delivery?.status ?? null);
  const finalVersion = isFinal(task.status) ? task.version : null;
  return { owed, stored, delivery, eventAt, finalVersion, isSent };
}
