// API keys. Each has two records: one under its id, to be listed, and one under the hash of its text, to authenticate
// requests. An org and its sandbox share the list.

import { modeOf } from '../../state/access/tenant.ts';
import type { Shape } from '../../state/text/forms.ts';
import type { Change } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { newId } from '../redis/ids.ts';
import { orgKeysOf, sharedKeysOf } from '../redis/keys.ts';
import { listMember } from '../redis/lists.ts';
import { RECORD_FIELDS, readRecord, recordWrites } from '../redis/records.ts';
import { fetched, nullIfUnreadable } from '../redis/unreadable.ts';
import { newCredential } from './credential-text.ts';

export interface ApiKey {
  kind: 'api_key';
  key_id: string;
  /** Id of the tenant: the org for a live key, its sandbox for a test key. */
  org_id: string;
  version: number;
  name: string;
  scopes: string[];
  /** `["*"]`, or the pools whose tasks it may see and create. */
  pools: string[];
  /** SHA-256 of its text, hex. */
  hash: string;
  /** The first characters of its text, to tell keys apart. */
  hint: string;
  created_at: number;
  expires_at: number | null;
  /** Id of the key that a rotation replaced it with; absent without one. */
  replaced_by?: string;
}

export const API_KEY_SHAPE: Shape<ApiKey> = {
  key_id: 'string',
  org_id: 'string',
  version: 'number',
  name: 'string',
  scopes: 'strings',
  pools: 'strings',
  hash: 'string',
  created_at: 'number',
};

/** A new API key of a tenant, and its text. @param now ms. */
export function newApiKey(
  tenantId: string,
  given: Pick<ApiKey, 'name' | 'scopes' | 'pools' | 'expires_at'>,
  now: number,
): { key: ApiKey; text: string } {
  const { text, hash } = newCredential(modeOf(tenantId) === 'test' ? 'blk_test_' : 'blk_live_', tenantId);
  return {
    text,
    key: {
      kind: 'api_key',
      key_id: newId(now),
      org_id: tenantId,
      version: 1,
      ...given,
      hash,
      hint: text.slice(0, 13),
      created_at: now,
    },
  };
}

/** Guards and writes that store and list a new API key. */
export function apiKeyWrites(db: Db, key: ApiKey): Change {
  const { guards, writes } = keyRecordWrites(db, 0, key);
  const { index } = sharedKeysOf(db.prefix, key.org_id);
  const member = listMember(key.created_at, key.key_id);
  return { guards, writes: [...writes, ['ZADD', index('api_keys'), 0, member]] };
}

/**
 * Guards and writes of the rotation of a key.
 * @param by the new key, and when the old one expires, ms, unless it expires earlier by itself.
 */
export function replacedKeyWrites(db: Db, key: ApiKey, by: { key_id: string; expiresAt: number }): Change {
  const expires_at = Math.min(key.expires_at ?? by.expiresAt, by.expiresAt);
  const after = { ...key, version: key.version + 1, expires_at, replaced_by: by.key_id };
  return keyRecordWrites(db, key.version, after);
}

/** Writes both records of a key. @param before its stored version; 0: it is new. */
function keyRecordWrites(db: Db, before: number, key: ApiKey): Change {
  const { guards, writes } = recordWrites(
    sharedKeysOf(db.prefix, key.org_id).apiKey(key.key_id),
    before,
    key,
  );
  const { credential } = orgKeysOf(db.prefix, key.org_id);
  return { guards, writes: [...writes, ['SET', credential(key.hash), JSON.stringify(key)]] };
}

/** A key with the approximate time of its last use. */
export interface ListedKey {
  key: ApiKey;
  /** ms; null: never used. */
  usedAt: number | null;
}

/**
 * Loads keys of an org and its sandbox in one round trip, in the order of `ids`; null for one that does not exist or
 * cannot be read.
 */
export async function loadApiKeys(
  db: Db,
  orgId: string,
  ids: readonly string[],
): Promise<(ListedKey | null)[]> {
  if (ids.length === 0) return [];
  const { apiKey } = sharedKeysOf(db.prefix, orgId);
  return Promise.all(ids.map((id) => nullIfUnreadable(db, () => loadListed(db, apiKey(id)))));
}

async function loadListed(db: Db, name: string): Promise<ListedKey | null> {
  const [used = null, ...fields] = await fetched(name, db.redis.hmget(name, 'u', ...RECORD_FIELDS));
  const key = readRecord(name, fields, API_KEY_SHAPE);
  return key === null ? null : { key, usedAt: used === null ? null : Number(used) };
}

// Only if the key exists: a late write must not recreate a revoked key.
const NOTE_USE = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'u', ARGV[1]) end";

/** Records the last use of a key. @param at ms. */
export async function recordKeyUse(
  db: Db,
  key: { org_id: string; key_id: string },
  at: number,
): Promise<void> {
  await db.redis.eval(NOTE_USE, 1, sharedKeysOf(db.prefix, key.org_id).apiKey(key.key_id), at);
}

/** Guards and writes that revoke an API key; from that commit on it does not authenticate. */
export function revokeApiKey(db: Db, key: ApiKey): Change {
  const { apiKey, index } = sharedKeysOf(db.prefix, key.org_id);
  return {
    guards: [{ kind: 'version', key: apiKey(key.key_id), version: key.version }],
    writes: [
      ['DEL', apiKey(key.key_id)],
      ['DEL', orgKeysOf(db.prefix, key.org_id).credential(key.hash)],
      ['ZREM', index('api_keys'), listMember(key.created_at, key.key_id)],
    ],
  };
}
