// Replays: one record each, a list per endpoint, and the running replay of an endpoint. A running replay is in the
// partition's `replays` set, scored by when its next step is due, so that a lost job can be recreated.

import type { OutboxEntry } from '../../state/outbox.ts';
import { broken, type Read, readJson, readShape, type Shape } from '../../state/text/forms.ts';
import { type AnyReplay, isStop, type LetterFilter, type Replay } from '../../state/webhooks/replay.ts';
import { type Change, merge } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { outboxWrites } from '../redis/outbox.ts';
import { loadRecord, loadRecords } from '../redis/records.ts';
import { oldRuns, type RunKeys, runEnded, runStarted, runStepped } from '../redis/run-records.ts';
import { fetched, required } from '../redis/unreadable.ts';
import { deliveriesIndex } from './delivery-target.ts';

/** A delivery that the replay enqueued and whose next attempt has not been seen yet. */
export interface Awaited {
  task_id: string;
  sequence: number;
  /** The endpoint of a dead letter that is sent again. */
  endpoint_id?: string;
  /** Attempts made before the replay enqueued it. */
  attempts: number;
}

/** Takes the place of the endpoint's id for the redelivery of dead letters. */
export const DEAD_LETTERS = 'dead-letters';
/** The same where the stopping of pending deliveries is meant. */
export const STOPS = 'stops';

/** Name of the index of an endpoint's replays. */
export function replaysIndex(endpointId: string): string {
  return `replays:${endpointId}`;
}

const SHAPE: Shape<AnyReplay> = {
  replay_id: 'string',
  org_id: 'string',
  endpoint_id: 'string or null',
  version: 'number',
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

/** Loads a replay; null when there is none. @throws UnreadableRecord */
export async function loadReplay(db: Db, orgId: string, id: string): Promise<AnyReplay | null> {
  const key = orgKeysOf(db.prefix, orgId).replay(id);
  const replay = await loadRecord<AnyReplay>(db, key, SHAPE);
  if (replay !== null) required(key, checked(replay));
  return replay;
}

/** Checks what only one kind of replay has. */
function checked(replay: AnyReplay): Read<unknown> {
  if (isStop(replay)) return readShape<LetterFilter>(replay.stops, LETTERS);
  return replay.endpoint_id === null
    ? readShape<LetterFilter>(replay.letters, LETTERS)
    : readShape<Replay>(replay, { deliveries: 'string' });
}

const LETTERS: Shape<LetterFilter> = {
  callback_url: 'string or null',
  endpoint_id: 'string or null',
  pools: 'strings',
};

/** Loads replays in one round trip, in the order of `ids`; null for one that does not exist. */
export function loadReplays(db: Db, orgId: string, ids: readonly string[]): Promise<(AnyReplay | null)[]> {
  return loadRecords(db, ids.map(orgKeysOf(db.prefix, orgId).replay), SHAPE);
}

const AWAITED: Shape<Awaited> = {
  task_id: 'string',
  sequence: 'number',
  endpoint_id: 'string?',
  attempts: 'number',
};

/** Deliveries that the replay enqueued and that have not been attempted yet. @throws UnreadableRecord */
export async function loadAwaited(db: Db, { org_id, replay_id }: AnyReplay): Promise<Awaited[]> {
  const key = orgKeysOf(db.prefix, org_id).replay(replay_id);
  const text = await fetched(key, db.redis.hget(key, 'a'));
  if (text === null) return [];
  const all = required(key, readJson(text));
  if (!Array.isArray(all)) return required(key, broken('its awaited deliveries are not a list'));
  return all.map((one) => required(key, readShape<Awaited>(one, AWAITED)));
}

/** Number of deliveries of the replay's time range that are pending; only those to an endpoint are counted. */
export async function pendingDeliveries(db: Db, replay: AnyReplay): Promise<number | undefined> {
  const { org_id, endpoint_id, since, until } = replay;
  if (endpoint_id === null) return undefined;
  const index = orgKeysOf(db.prefix, org_id).index(deliveriesIndex(endpoint_id, 'pending'));
  // Members begin with the time of their event.
  const [from, to] = [since, until].map((at) => String(at).padStart(14, '0'));
  return db.redis.zlexcount(index, `[${from}`, `(${to}`);
}

/** Id of the running replay of this endpoint; null when there is none. */
export function replayUnderWay(db: Db, orgId: string, endpointId: string): Promise<string | null> {
  return db.redis.hget(orgKeysOf(db.prefix, orgId).replaying, endpointId);
}

/** Number of running replays of the org. */
export function replaysUnderWay(db: Db, orgId: string): Promise<number> {
  return db.redis.hlen(orgKeysOf(db.prefix, orgId).replaying);
}

/** Ids of the oldest replays of an endpoint, which are removed when another one starts. */
export function oldReplays(db: Db, orgId: string, endpointId: string): Promise<string[]> {
  return oldRuns(db, orgKeysOf(db.prefix, orgId).index(replaysIndex(endpointId)));
}

/**
 * Guards and writes that start a replay; the guards fail while another replay of the endpoint is running.
 * @param old the replays to remove, from `oldReplays`.
 */
export function startWrites(db: Db, replay: AnyReplay, old: readonly string[]): Change {
  const { org_id, replay_id } = replay;
  const receiver = receiverOf(replay);
  const keys = orgKeysOf(db.prefix, org_id);
  const entry: OutboxEntry = { kind: 'replay', org_id, replay_id };
  const oldOnes = old.map((id) => ({ id, record: keys.replay(id) }));
  return merge(runStarted(runKeys(db, replay), replay, oldOnes), {
    guards: [{ kind: 'field', key: keys.replaying, field: receiver, value: null }],
    writes: [['HSET', keys.replaying, receiver, replay_id], ...outboxWrites(keys.outbox, entry)],
  });
}

/** Guards and writes of a step. @param dueAt when the next step is due, ms. */
export function stepWrites(
  db: Db,
  before: AnyReplay,
  after: AnyReplay,
  awaited: readonly Awaited[],
  dueAt: number,
): Change {
  const keys = runKeys(db, after);
  return merge(runStepped(keys, before, after, dueAt), {
    guards: [],
    writes: [['HSET', keys.record, 'a', JSON.stringify(awaited)]],
  });
}

/** Guards and writes that end a replay. @param after from `endedRun`. */
export function endWrites(db: Db, before: AnyReplay, after: AnyReplay): Change {
  const keys = runKeys(db, after);
  return merge(runEnded(keys, before, after), {
    guards: [],
    writes: [
      ['HDEL', keys.record, 'a'],
      ['HDEL', orgKeysOf(db.prefix, after.org_id).replaying, receiverOf(after)],
    ],
  });
}

/** The endpoint of a replay, or what stands for it. */
function receiverOf(replay: AnyReplay): string {
  return replay.endpoint_id ?? (isStop(replay) ? STOPS : DEAD_LETTERS);
}

function runKeys(db: Db, replay: AnyReplay): RunKeys {
  const { org_id, replay_id } = replay;
  const keys = orgKeysOf(db.prefix, org_id);
  const index = keys.index(replaysIndex(receiverOf(replay)));
  return { id: replay_id, record: keys.replay(replay_id), index, underWay: keys.replays };
}
