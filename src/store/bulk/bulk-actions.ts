// Records of bulk actions: a hash with the progress, what to do (which never changes) and the failures; a list of the
// newest of the org, and the set of those that run.

import type { Authority } from '../../state/access/authority.ts';
import {
  type BulkAction,
  type BulkFailure,
  MAX_RUNNING,
  type Selection,
  type TaskAction,
} from '../../state/bulk/bulk-action.ts';
import type { OutboxEntry } from '../../state/outbox.ts';
import { broken, isObject, readJson, readShape, type Shape } from '../../state/text/forms.ts';

import { type Change, merge, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { outboxWrites } from '../redis/outbox.ts';
import { loadRecord, loadRecords, recordWrites } from '../redis/records.ts';
import { oldRuns, type RunKeys, runEnded, runStarted, runStepped } from '../redis/run-records.ts';
import { fetched, required } from '../redis/unreadable.ts';

/** What a bulk action does, to which tasks, and with whose authority. Never changes. */
export interface BulkOrder {
  task_action: TaskAction;
  selection: Selection;
  authority: Authority;
}

/** Name of the index of an org's bulk actions. */
export const BULK_ACTIONS = 'bulk_actions';

const SHAPE: Shape<BulkAction> = {
  bulk_action_id: 'string',
  org_id: 'string',
  version: 'number',
  action: 'string',
  status: 'string',
  pools: 'strings',
  matched: 'number',
  done: 'number',
  failed: 'number',
  skipped: 'number',
  created_by: 'string',
  created_at: 'number',
  updated_at: 'number',
};
const ORDER: Shape<BulkOrder> = { task_action: 'object', selection: 'object', authority: 'object' };
const FAILURE: Shape<BulkFailure> = { task_id: 'string', code: 'string', detail: 'string' };

/** Loads a bulk action; null when there is none. @throws UnreadableRecord */
export function loadBulkAction(db: Db, orgId: string, id: string): Promise<BulkAction | null> {
  return loadRecord(db, orgKeysOf(db.prefix, orgId).bulkAction(id), SHAPE);
}

/** Loads bulk actions in one round trip, in the order of `ids`; null for one that does not exist. */
export function loadBulkActions(
  db: Db,
  orgId: string,
  ids: readonly string[],
): Promise<(BulkAction | null)[]> {
  return loadRecords(db, ids.map(orgKeysOf(db.prefix, orgId).bulkAction), SHAPE);
}

/** What the bulk action does. @throws UnreadableRecord */
export async function loadOrder(db: Db, { org_id, bulk_action_id }: BulkAction): Promise<BulkOrder> {
  const key = orgKeysOf(db.prefix, org_id).bulkAction(bulk_action_id);
  const text = await fetched(key, db.redis.hget(key, 'o'));
  const read = text === null ? broken('incomplete') : readJson(text);
  const json = required(key, read);
  return required(
    key,
    isObject(json) ? readShape<BulkOrder>(json, ORDER) : broken('its order is not an object'),
  );
}

/** The listed failures. @throws UnreadableRecord */
export async function loadFailures(db: Db, { org_id, bulk_action_id }: BulkAction): Promise<BulkFailure[]> {
  const key = orgKeysOf(db.prefix, org_id).bulkAction(bulk_action_id);
  const text = await fetched(key, db.redis.hget(key, 'x'));
  if (text === null) return [];
  const all = required(key, readJson(text));
  if (!Array.isArray(all)) return required(key, broken('its failures are not a list'));
  return all.map((one) => required(key, readShape<BulkFailure>(one, FAILURE)));
}

/** Number of running bulk actions of the org. */
export function bulkActionsRunning(db: Db, orgId: string): Promise<number> {
  return db.redis.scard(orgKeysOf(db.prefix, orgId).bulkRunning);
}

/** Ids of the oldest bulk actions that have ended, which are removed when another one is created. */
export async function oldBulkActions(db: Db, orgId: string): Promise<string[]> {
  const keys = orgKeysOf(db.prefix, orgId);
  const [old, running] = await Promise.all([
    oldRuns(db, keys.index(BULK_ACTIONS)),
    db.redis.smembers(keys.bulkRunning),
  ]);
  return old.filter((id) => !running.includes(id));
}

/**
 * Guards and writes that create a bulk action; the guards fail when the org has `MAX_RUNNING` that run.
 * @param old those to remove, from `oldBulkActions`.
 */
export function createWrites(db: Db, bulk: BulkAction, order: BulkOrder, old: readonly string[]): Change {
  const { org_id, bulk_action_id } = bulk;
  const keys = orgKeysOf(db.prefix, org_id);
  const at = runKeys(db, bulk);
  const entry: OutboxEntry = { kind: 'bulk_action', org_id, bulk_action_id };
  const oldOnes = old.map((id) => ({ id, record: keys.bulkAction(id) }));
  return merge(runStarted(at, bulk, oldOnes), {
    guards: [{ kind: 'below_limit', countWith: 'SCARD', key: keys.bulkRunning, limit: MAX_RUNNING }],
    writes: [
      ['HSET', at.record, 'o', JSON.stringify(order)],
      ['SADD', keys.bulkRunning, bulk_action_id],
      ...outboxWrites(keys.outbox, entry),
    ],
  });
}

/**
 * Guards and writes of progress within a step, for the commit of a task's change.
 * @param failures all that are listed, when there are new ones; else null.
 */
export function progressWrites(
  db: Db,
  before: BulkAction,
  after: BulkAction,
  failures: readonly BulkFailure[] | null,
): Change {
  const { record } = runKeys(db, after);
  return merge(recordWrites(record, before.version, after), failureWrites(record, failures));
}

/** Guards and writes of the end of a step. @param dueAt when the next one is due, ms. @param failures as in `progressWrites`. */
export function stepWrites(
  db: Db,
  before: BulkAction,
  after: BulkAction,
  failures: readonly BulkFailure[] | null,
  dueAt: number,
): Change {
  const keys = runKeys(db, after);
  return merge(runStepped(keys, before, after, dueAt), failureWrites(keys.record, failures));
}

/** Guards and writes that end a bulk action. @param after from `endedRun`. @param failures as in `progressWrites`. */
export function endWrites(
  db: Db,
  before: BulkAction,
  after: BulkAction,
  failures: readonly BulkFailure[] | null = null,
): Change {
  const keys = runKeys(db, after);
  const { bulkRunning } = orgKeysOf(db.prefix, after.org_id);
  const running: Write = ['SREM', bulkRunning, after.bulk_action_id];
  return merge(runEnded(keys, before, after), failureWrites(keys.record, failures), {
    guards: [],
    writes: [running],
  });
}

function failureWrites(record: string, failures: readonly BulkFailure[] | null): Change {
  return { guards: [], writes: failures === null ? [] : [['HSET', record, 'x', JSON.stringify(failures)]] };
}

function runKeys(db: Db, { org_id, bulk_action_id }: BulkAction): RunKeys {
  const keys = orgKeysOf(db.prefix, org_id);
  const record = keys.bulkAction(bulk_action_id);
  return { id: bulk_action_id, record, index: keys.index(BULK_ACTIONS), underWay: keys.bulkActions };
}
