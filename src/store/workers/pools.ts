// Pools: groups of workers that a task can be restricted to, with their offer mode.

import { LRUCache } from 'lru-cache';
import { atMost } from '../../state/cache-entries.ts';
import type { OutboxEntry } from '../../state/outbox.ts';
import type { Shape } from '../../state/text/forms.ts';
import type { Pool } from '../../state/workers/worker.ts';
import { type Change, commit, EMPTY_CHANGE, type Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { listMember } from '../redis/lists.ts';
import { outboxWrites } from '../redis/outbox.ts';
import { loadRecord, loadRecords, recordWrites } from '../redis/records.ts';

const SHAPE: Shape<Pool> = {
  pool_id: 'string',
  org_id: 'string',
  version: 'number',
  name: 'string',
  offer_mode: 'string',
  broadcast_size: 'number',
  created_at: 'number',
  updated_at: 'number',
};

/** Loads a pool; null when there is none. @throws UnreadableRecord */
export function loadPool(db: Db, orgId: string, poolId: string): Promise<Pool | null> {
  return loadRecord(db, orgKeysOf(db.prefix, orgId).pool(poolId), SHAPE);
}

/** How long an existing pool is cached, ms. */
const CACHE_TIME = 1000;
/** The cache reads the clock once in `ttlResolution` ms, instead of at every look-up. */
const CACHE_OPTIONS = { ...atMost(10_000), ttl: CACHE_TIME, ttlResolution: 20 };
const caches = new WeakMap<Db, LRUCache<string, true>>();

/** Whether the pool exists. A positive result is cached for a second, because each new task asks. @throws UnreadableRecord */
export async function hasPool(db: Db, orgId: string, poolId: string): Promise<boolean> {
  let cache = caches.get(db);
  if (cache === undefined) {
    cache = new LRUCache(CACHE_OPTIONS);
    caches.set(db, cache);
  }
  const key = orgKeysOf(db.prefix, orgId).pool(poolId);
  const start = performance.now();
  if (cache.has(key)) return true;
  if ((await loadPool(db, orgId, poolId)) === null) return false;
  cache.set(key, true, { start });
  return true;
}

/** Guards that hold while all of these pools exist. */
export function poolGuards(db: Db, orgId: string, ids: readonly string[]): Guard[] {
  const keys = orgKeysOf(db.prefix, orgId);
  return ids.map((id) => ({ kind: 'present', key: keys.pool(id) }));
}

/** Loads pools in one round trip, in the order of `ids`; null for one that does not exist or cannot be read. */
export function loadPools(db: Db, orgId: string, ids: readonly string[]): Promise<(Pool | null)[]> {
  return loadRecords(db, ids.map(orgKeysOf(db.prefix, orgId).pool), SHAPE);
}

/**
 * Guards and writes that create (`before` null), change or remove (`after` null) a pool. Its id cannot be used again until
 * the removed pool has been emptied, so that a new pool does not inherit workers or tasks in hand.
 */
export function poolWrites(db: Db, before: Pool | null, after: Pool | null): Change {
  const pool = after ?? before;
  if (pool === null) return EMPTY_CHANGE;
  const keys = orgKeysOf(db.prefix, pool.org_id);
  const key = keys.pool(pool.pool_id);
  const member = listMember(pool.created_at, pool.pool_id);
  if (after === null) {
    const { org_id, pool_id } = pool;
    const entry: OutboxEntry = { kind: 'pool', org_id, pool_id, at: db.clock.now() };
    return {
      guards: [poolAsLoaded(db, pool)],
      writes: [
        ['DEL', key],
        ['ZREM', keys.index('pools'), member],
        ['ZADD', keys.removedPools, entry.at, removedPoolMember(org_id, pool_id)],
        ...outboxWrites(keys.outbox, entry),
      ],
    };
  }
  const { writes } = recordWrites(key, before?.version ?? 0, after);
  if (before !== null) return { guards: [poolAsLoaded(db, before)], writes };
  const removed = removedPoolMember(pool.org_id, pool.pool_id);
  return {
    guards: [
      { kind: 'absent', key },
      { kind: 'score', key: keys.removedPools, member: removed, score: null },
    ],
    writes: [
      ...writes,
      ['HSET', key, 'i', after.incarnation ?? ''],
      ['ZADD', keys.index('pools'), 0, member],
    ],
  };
}

/** When the pool with this id was removed, ms; null when there is none that still has workers or tasks in hand. */
export async function poolRemovedAt(db: Db, orgId: string, poolId: string): Promise<number | null> {
  const { removedPools } = orgKeysOf(db.prefix, orgId);
  const score = await db.redis.zscore(removedPools, removedPoolMember(orgId, poolId));
  return score === null ? null : Number(score);
}

/** Frees the id of a removed pool that is empty now. @param removedAt from `poolRemovedAt`. */
export async function releaseRemovedPool(
  db: Db,
  orgId: string,
  poolId: string,
  removedAt: number,
): Promise<void> {
  const { removedPools, changes } = orgKeysOf(db.prefix, orgId);
  const member = removedPoolMember(orgId, poolId);
  await commit(db.redis, {
    guards: [{ kind: 'score', key: removedPools, member, score: removedAt }],
    writes: [
      ['ZREM', removedPools, member],
      ['SPUBLISH', changes, `pool ${poolId}`],
    ],
  });
}

function removedPoolMember(orgId: string, poolId: string): string {
  return `${orgId} ${poolId}`;
}

/** Guard that the pool has not changed since it was loaded, nor been replaced by another with the same id. */
export function poolAsLoaded(db: Db, { org_id, pool_id, version, incarnation = '' }: Pool): Guard {
  return { kind: 'version', key: orgKeysOf(db.prefix, org_id).pool(pool_id), version, incarnation };
}
