// Plain records: a hash with the version in `v` and the JSON in `d`. Workers, pools, orgs and keys lie so.

import type { Guard, Write } from './commit.ts';
import type { Db } from './redis.ts';

/** Loads records in one round trip, in the order of the keys; null where there is none. */
export async function loadRecords<T>(db: Db, keys: readonly string[]): Promise<(T | null)[]> {
  return Promise.all(keys.map((key) => loadRecord<T>(db, key)));
}

/** Loads one record; null when there is none. */
export async function loadRecord<T>(db: Db, key: string): Promise<T | null> {
  const text = await db.redis.hget(key, 'd');
  return text === null ? null : (JSON.parse(text) as T);
}

/** Guard and write that put `record` in place of its `before` version (0: there must be none). */
export function recordWrites(
  key: string,
  before: number,
  record: { version: number },
): { guards: Guard[]; writes: Write[] } {
  return {
    guards: [{ kind: 'version', key, version: before }],
    writes: [['HSET', key, 'v', record.version, 'd', JSON.stringify(record)]],
  };
}
