// Pools: groups of workers that tasks can ask for, with how offers are made in them.

import type { Pool } from '../state/worker.ts';
import type { Guard, Write } from './commit.ts';
import { orgKeysOf } from './keys.ts';
import { listMember } from './lists.ts';
import { loadRecord, loadRecords, recordWrites } from './records.ts';
import type { Db } from './redis.ts';

export function loadPool(db: Db, orgId: string, poolId: string): Promise<Pool | null> {
  return loadRecord<Pool>(db, orgKeysOf(db.prefix, orgId).pool(poolId));
}

/** Loads pools in one round trip, in the order asked; null where there is none. */
export function loadPools(db: Db, orgId: string, ids: readonly string[]): Promise<(Pool | null)[]> {
  return loadRecords<Pool>(db, ids.map(orgKeysOf(db.prefix, orgId).pool));
}

/** Guards and writes of a pool's change; `after` null removes it. */
export function poolWrites(
  db: Db,
  before: Pool | null,
  after: Pool | null,
): { guards: Guard[]; writes: Write[] } {
  const pool = after ?? before;
  if (pool === null) return { guards: [], writes: [] };
  const keys = orgKeysOf(db.prefix, pool.org_id);
  const key = keys.pool(pool.pool_id);
  const member = listMember(pool.created_at, pool.pool_id);
  if (after === null)
    return {
      guards: [{ kind: 'version', key, version: pool.version }],
      writes: [
        ['DEL', key],
        ['ZREM', keys.index('pools'), member],
      ],
    };
  const { guards, writes } = recordWrites(key, before?.version ?? 0, after);
  return { guards, writes: before === null ? [...writes, ['ZADD', keys.index('pools'), 0, member]] : writes };
}
