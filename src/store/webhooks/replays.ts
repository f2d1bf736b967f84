// Replays: a record each, the list of those of an endpoint, and the one that is under way. While one runs it
// stands in the partition's `replays` set by when its next step is due; the job that makes the step can be lost.

import type { OutboxEntry } from '../../state/outbox.ts';
import { broken, readJson, readShape, type Shape } from '../../state/text/forms.ts';
import type { Replay, ReplayStatus, StopReason } from '../../state/webhooks/replay.ts';
import type { Guard, Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { idFloor } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { outboxWrite } from '../redis/outbox.ts';
import { loadRecord, loadRecords, recordWrites } from '../redis/records.ts';
import { fetched, required } from '../redis/unreadable.ts';

/** How long a replay can be looked at after its end, ms. */
const KEPT = 30 * 24 * 3600 * 1000;

/** What was sent and has not been tried yet, as far as is known. */
export interface Awaited {
  task_id: string;
  sequence: number;
  /** Attempts made before it was sent. */
  attempts: number;
}

/** Name of the index of an endpoint's replays. */
export function replaysIndex(endpointId: string): string {
  return `replays:${endpointId}`;
}

const SHAPE: Shape<Replay> = {
  replay_id: 'string',
  org_id: 'string',
  endpoint_id: 'string',
  version: 'number',
  deliveries: 'string',
  since: 'number',
  until: 'number',
  status: 'string',
  walked: 'boolean',
  reached: 'number',
  examined: 'number',
  sent: 'number',
  succeeded: 'number',
  failed: 'number',
  created_at: 'number',
  updated_at: 'number',
};

/** @throws UnreadableRecord */
export function loadReplay(db: Db, orgId: string, id: string): Promise<Replay | null> {
  return loadRecord(db, orgKeysOf(db.prefix, orgId).replay(id), SHAPE);
}

/** Loads replays in one round trip, in the order asked; null where there is none any more. */
export function loadReplays(db: Db, orgId: string, ids: readonly string[]): Promise<(Replay | null)[]> {
  return loadRecords(db, ids.map(orgKeysOf(db.prefix, orgId).replay), SHAPE);
}

const AWAITED: Shape<Awaited> = { task_id: 'string', sequence: 'number', attempts: 'number' };

/** What a replay sent that has not been tried yet. @throws UnreadableRecord */
export async function loadAwaited(db: Db, { org_id, replay_id }: Replay): Promise<Awaited[]> {
  const key = orgKeysOf(db.prefix, org_id).replay(replay_id);
  const text = await fetched(key, db.redis.hget(key, 'a'));
  if (text === null) return [];
  const all = required(key, readJson(text));
  if (!Array.isArray(all)) return required(key, broken('what it waits for is no list'));
  return all.map((one) => required(key, readShape<Awaited>(one, AWAITED)));
}

/** The id of the replay to this endpoint that is under way; null when there is none. */
export function replayUnderWay(db: Db, orgId: string, endpointId: string): Promise<string | null> {
  return db.redis.hget(orgKeysOf(db.prefix, orgId).replaying, endpointId);
}

/** How many replays of the org are under way. */
export function replaysUnderWay(db: Db, orgId: string): Promise<number> {
  return db.redis.hlen(orgKeysOf(db.prefix, orgId).replaying);
}

interface Change {
  guards: Guard[];
  writes: Write[];
}

/** How many replays to an endpoint are kept. */
const KEPT_MOST = 100;

/** Ids of the oldest replays to an endpoint, which go when one more begins. */
export function oldReplays(db: Db, orgId: string, endpointId: string): Promise<string[]> {
  return db.redis.zrange(orgKeysOf(db.prefix, orgId).index(replaysIndex(endpointId)), 0, `${-KEPT_MOST}`);
}

/**
 * Guards and writes that begin a replay; they do not hold while another to the same endpoint is under way.
 * @param old see `oldReplays`.
 */
export function startWrites(db: Db, replay: Replay, old: readonly string[]): Change {
  const { org_id, replay_id, endpoint_id, created_at } = replay;
  const keys = orgKeysOf(db.prefix, org_id);
  const index = keys.index(replaysIndex(endpoint_id));
  const entry: OutboxEntry = { kind: 'replay', org_id, replay_id };
  const record = recordWrites(keys.replay(replay_id), 0, replay);
  return {
    guards: [...record.guards, { kind: 'field', key: keys.replaying, field: endpoint_id, value: null }],
    writes: [
      ...record.writes,
      ['HSET', keys.replaying, endpoint_id, replay_id],
      ['ZADD', index, 0, replay_id],
      ...old.flatMap((id): Write[] => [
        ['ZREM', index, id],
        ['DEL', keys.replay(id)],
      ]),
      ['ZREMRANGEBYLEX', index, '-', `(${idFloor(created_at - 2 * KEPT)}`],
      ['ZADD', keys.replays, created_at, `${org_id} ${replay_id}`],
      outboxWrite(keys.outbox, entry),
    ],
  };
}

/** Guards and writes of a step. @param dueAt when the next is due, ms. */
export function stepWrites(
  db: Db,
  before: Replay,
  after: Replay,
  awaited: readonly Awaited[],
  dueAt: number,
): Change {
  const { org_id, replay_id } = after;
  const keys = orgKeysOf(db.prefix, org_id);
  const key = keys.replay(replay_id);
  const record = recordWrites(key, before.version, after);
  return {
    guards: record.guards,
    writes: [
      ...record.writes,
      ['HSET', key, 'a', JSON.stringify(awaited)],
      ['ZADD', keys.replays, dueAt, `${org_id} ${replay_id}`],
    ],
  };
}

/** The replay as it is once it has ended so. */
export function ended(
  replay: Replay,
  status: Exclude<ReplayStatus, 'running'>,
  reason: StopReason | null,
  now: number,
): Replay {
  return { ...replay, status, reason, version: replay.version + 1, updated_at: now, finished_at: now };
}

/** Guards and writes that end a replay; it is kept for a while. @param after as `ended` gives it. */
export function endWrites(db: Db, before: Replay, after: Replay): Change {
  const { org_id, replay_id, endpoint_id } = after;
  const keys = orgKeysOf(db.prefix, org_id);
  const key = keys.replay(replay_id);
  const record = recordWrites(key, before.version, after);
  return {
    guards: record.guards,
    writes: [
      ...record.writes,
      ['HDEL', key, 'a'],
      ['PEXPIRE', key, KEPT],
      ['HDEL', keys.replaying, endpoint_id],
      ['ZREM', keys.replays, `${org_id} ${replay_id}`],
    ],
  };
}
