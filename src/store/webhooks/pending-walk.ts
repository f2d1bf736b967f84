// Finds the pending deliveries that a run stops, and stops them. A walk goes through the partition's set of pending
// deliveries, which has no order by org or receiver, so it looks at the members of the org one by one.

import { maySeePool } from '../../state/access/permission.ts';
import type { OutboxEntry } from '../../state/outbox.ts';
import { poolOf } from '../../state/tasks/task.ts';
import type { DeliveryStop } from '../../state/webhooks/replay.ts';
import { type Change, merge, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { outboxWrites } from '../redis/outbox.ts';
import { nullIfUnreadable } from '../redis/unreadable.ts';
import { loadEvent } from '../tasks/tasks.ts';
import { packDelivery } from './delivery-record.ts';
import {
  type DeliveryTarget,
  deliveriesIndex,
  fieldOf,
  isParked,
  listedMember,
  pendingMember,
  readField,
  readPendingMember,
} from './delivery-target.ts';
import { type Found, loadWithEvent } from './replay-walk.ts';

/** Members of the set that Redis looks at in one request, roughly. */
const SCANNED = 200;
/** Requests of one walk at most, while none finds a delivery of the org. */
const MAX_SCANS = 20;

/** A pending delivery, and when it is due. */
export interface Pending extends Found {
  score: number;
}

/** What a walk has found. */
export interface PendingWalk {
  found: Pending[];
  /** Deliveries of which an attempt is in progress. */
  busy: number;
  examined: number;
  /** Where the next walk goes on; null at the end of a pass. */
  cursor: string | null;
}

/** Walks on from the cursor of the run. A delivery may be found twice; one that stays pending is found in every pass. */
export async function walkPending(db: Db, stop: DeliveryStop): Promise<PendingWalk> {
  const { pendingDeliveries } = orgKeysOf(db.prefix, stop.org_id);
  const members = new Map<string, number>();
  let cursor = stop.cursor ?? '0';
  for (let scans = 0; scans < MAX_SCANS && members.size === 0; scans += 1) {
    const [next, flat] = await db.redis.zscan(
      pendingDeliveries,
      cursor,
      'MATCH',
      `${stop.org_id} *`,
      'COUNT',
      SCANNED,
    );
    for (let index = 0; index < flat.length; index += 2)
      members.set(flat[index] ?? '', Number(flat[index + 1]));
    cursor = next;
    if (cursor === '0') break;
  }
  const all = await Promise.all(
    [...members].map(([member, score]) =>
      nullIfUnreadable(db, () => examine(db, stop, readPendingMember(member), score)),
    ),
  );
  const chosen = all.filter((one) => one !== null);
  const now = db.clock.now();
  const found = chosen.filter(({ score }) => !isLeased(score, now));
  return {
    found,
    busy: chosen.length - found.length,
    examined: members.size,
    cursor: cursor === '0' ? null : cursor,
  };
}

/** A due time that ends in half a millisecond is the lease of an attempt; see delivery-lease.ts. */
function isLeased(score: number, now: number): boolean {
  return score % 1 !== 0 && score > now;
}

/** Loads a pending delivery; null when the run does not stop it. */
async function examine(
  db: Db,
  { stops: { callback_url, endpoint_id, pools }, since, until }: DeliveryStop,
  target: DeliveryTarget,
  score: number,
): Promise<Pending | null> {
  // Test messages belong to no task and are left alone.
  if (target.sequence === 0 || (target.endpoint_id ?? null) !== endpoint_id) return null;
  const loaded = await loadWithEvent(db, target);
  if (loaded === null) return null;
  const { task, event: _event, ...found } = loaded;
  if (endpoint_id === null && task.input.handoff?.callback_url !== callback_url) return null;
  if (!maySeePool({ pools }, poolOf(task)) || !isWithin(found.eventAt, { since, until })) return null;
  return { ...found, score };
}

function isWithin(at: number, { since, until }: Pick<DeliveryStop, 'since' | 'until'>): boolean {
  return at >= since && at < until;
}

/** Guards and writes that stop pending deliveries. The guards fail when one has changed since it was loaded. */
export async function stopWrites(db: Db, stop: DeliveryStop, found: readonly Pending[]): Promise<Change> {
  const waiting = await Promise.all(found.map(({ target }) => waitingFor(db, stop, target)));
  const released = new Map(
    waiting.flatMap((one) => (one === null ? [] : [[pendingMember(one.target), one] as const])),
  );
  return merge(
    ...found.map((one) => stopOne(db, one)),
    ...[...released.values()].map((one) => releaseOne(db, stop, one)),
  );
}

function stopOne(db: Db, { target, stored, delivery, eventAt, finalVersion, score }: Pending): Change {
  const { org_id, task_id, endpoint_id } = target;
  const keys = orgKeysOf(db.prefix, org_id);
  const [key, field] = [keys.deliveries(task_id), fieldOf(target)];
  const { pendingDeliveries } = keys;
  const member = pendingMember(target);
  const listed = listedMember(target, eventAt);
  const stopped = packDelivery({ attempts: [], ...delivery, status: 'stopped' });
  const moved: Write[] =
    endpoint_id === undefined
      ? []
      : [
          ['ZREM', keys.index(deliveriesIndex(endpoint_id, 'pending')), listed],
          ['ZADD', keys.index(deliveriesIndex(endpoint_id, 'stopped')), 0, listed],
        ];
  return {
    guards: [
      { kind: 'score', key: pendingDeliveries, member, score },
      { kind: 'field', key, field, value: stored },
      // If the task was purged meanwhile, the delivery would never be removed.
      ...(finalVersion === null
        ? []
        : [{ kind: 'version', key: keys.task(task_id), version: finalVersion } as const]),
    ],
    writes: [
      ['HSET', key, field, stopped],
      ['ZREM', pendingDeliveries, member],
      ['HDEL', keys.ordering(task_id), field, `w${field}`],
      ...moved,
    ],
  };
}

type Waiting = { target: DeliveryTarget; score: number };

/** The next delivery that waits for this one, with ordered delivery, unless the run stops that too; null for none. */
async function waitingFor(db: Db, stop: DeliveryStop, target: DeliveryTarget): Promise<Waiting | null> {
  const { org_id, task_id, endpoint_id } = target;
  const keys = orgKeysOf(db.prefix, org_id);
  const sequences = (await db.redis.hkeys(keys.ordering(task_id)))
    .filter((field) => field.startsWith('w'))
    .map((field) => readField(field.slice(1)))
    .filter((one) => one.endpoint_id === endpoint_id && one.sequence > target.sequence)
    .map(({ sequence }) => sequence);
  if (sequences.length === 0) return null;
  const next = { ...target, sequence: Math.min(...sequences) };
  const [about, score] = await Promise.all([
    loadEvent(db, org_id, task_id, next.sequence),
    db.redis.zscore(keys.pendingDeliveries, pendingMember(next)),
  ]);
  if (about === null || score === null || isWithin(Date.parse(about.event.at), stop)) return null;
  return { target: next, score: Number(score) };
}

/** Makes a waiting delivery due now. One that is leased or parked stays as it is. */
function releaseOne(db: Db, { replay_id }: DeliveryStop, { target, score }: Waiting): Change {
  if (score % 1 !== 0 || isParked(score)) return { guards: [], writes: [] };
  const keys = orgKeysOf(db.prefix, target.org_id);
  const member = pendingMember(target);
  const entry: OutboxEntry = { kind: 'delivery', ...target, id_suffix: `stop-${replay_id}` };
  return {
    guards: [{ kind: 'score', key: keys.pendingDeliveries, member, score }],
    writes: [
      ['ZADD', keys.pendingDeliveries, db.clock.now(), member],
      ['HDEL', keys.ordering(target.task_id), `w${fieldOf(target)}`],
      ...outboxWrites(keys.outbox, entry),
    ],
  };
}
