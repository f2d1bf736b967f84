// Plain records, such as workers, pools, orgs and API keys: a hash with the version in `v`, its format version in
// `f` and the JSON in `d`. Records whose id can be used again have an incarnation in `i`.

import { broken, type Read, readForm, readJsonShape, type Shape } from '../../state/text/forms.ts';
import type { Change } from './commit.ts';
import type { Db } from './connection.ts';
import { fetched, nullIfUnreadable, required } from './unreadable.ts';

/** The current format version of plain records. */
const FORM = 1;

/**
 * Loads records in one round trip, in the order of the keys; null for one that does not exist or cannot be read. An
 * unreadable record is reported.
 */
export async function loadRecords<T>(
  db: Db,
  keys: readonly string[],
  shape: Shape<T>,
): Promise<(T | null)[]> {
  return Promise.all(keys.map((key) => nullIfUnreadable(db, () => loadRecord(db, key, shape))));
}

/** Loads one record; null when there is none. @throws UnreadableRecord */
export async function loadRecord<T>(db: Db, key: string, shape: Shape<T>): Promise<T | null> {
  return readRecord(key, await fetched(key, db.redis.hmget(key, ...RECORD_FIELDS)), shape);
}

/** Fields that are read of a record's hash. */
export const RECORD_FIELDS = ['d', 'f', 'v'] as const;

/** The record in the `RECORD_FIELDS` of its hash; null when there is none. @throws UnreadableRecord */
export function readRecord<T>(key: string, fields: readonly (string | null)[], shape: Shape<T>): T | null {
  const [text = null, form = null, version = null] = fields;
  if (text === null && version === null) return null;
  return required(key, readForm(form, FORM) ?? parse(text, shape));
}

function parse<T>(text: string | null, shape: Shape<T>): Read<T> {
  if (text === null) return broken('incomplete');
  return readJsonShape(text, shape);
}

/** Guard and write that store a record. @param before its stored version; 0: it must not exist. */
export function recordWrites(key: string, before: number, record: { version: number }): Change {
  return {
    guards: [{ kind: 'version', key, version: before }],
    writes: [['HSET', key, 'v', record.version, 'd', JSON.stringify(record), 'f', FORM]],
  };
}
