// Credentials: API keys and worker tokens. The text is prefix, partition, random part and checksum, so a
// mistyped one is refused without a look-up and a right one is found beside its org's data. Only the
// SHA-256 of it is stored; with 160 random bits there is nothing to guess, so a slow hash adds nothing. All
// comparing is of hashes: how long it takes tells nothing of a credential.

import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { modeOf } from '../../state/access/tenant.ts';
import { isObject, type Read, readJson, readShape, type Shape } from '../../state/text/forms.ts';
import type { Worker } from '../../state/workers/worker.ts';
import type { Change, Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { newId } from '../redis/ids.ts';
import {
  orgKeysOf,
  PARTITION_COUNT,
  PARTITIONS,
  partitionKeys,
  partitionOf,
  sharedKeysOf,
} from '../redis/keys.ts';
import { listMember } from '../redis/lists.ts';
import { RECORD_FIELDS, readRecord, recordWrites } from '../redis/records.ts';
import { fetched, readableOrNull, required } from '../redis/unreadable.ts';
import { asLoaded } from '../workers/workers.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const FORM =
  /^(blk_live_|blk_test_|blw_|blo_|blr_|bla_|blg_|bls_)([0-9A-Za-z])([0-9A-Za-z]{27})([0-9A-Za-z]{6})$/;

/**
 * `blk_…` API keys, `blw_` worker tokens; of OAuth `blo_` access tokens, `blr_` refresh tokens, `bla_`
 * authorization codes, `blg_` grants, `bls_` client secrets.
 */
export type CredentialPrefix =
  | 'blk_live_'
  | 'blk_test_'
  | 'blw_'
  | 'blo_'
  | 'blr_'
  | 'bla_'
  | 'blg_'
  | 'bls_';

export interface ApiKey {
  kind: 'api_key';
  key_id: string;
  /** Whose things it is for: the org's id, or its sandbox's for a test key. */
  org_id: string;
  version: number;
  name: string;
  scopes: string[];
  /** `["*"]` or the pools it may see and create into. */
  pools: string[];
  hash: string;
  /** The first characters, to tell keys apart. */
  hint: string;
  created_at: number;
  expires_at: number | null;
  /** The key that a rotation put in its place; absent without one. */
  replaced_by?: string;
}

export interface WorkerToken {
  kind: 'worker_token';
  org_id: string;
  worker_id: string;
  /** Of the worker it was made for: it is no token of another who gets that id later. */
  incarnation?: string;
  /** Pools of the key that made it: it shows and answers no task that this key may not see. Absent: all. */
  pools?: readonly string[];
}

/** An access token of OAuth. What it may do is the least of what it, its client and its member may. */
export interface OAuthToken {
  kind: 'oauth_token';
  org_id: string;
  client_id: string;
  /** On whose behalf the client acts; null when it acts for itself. */
  member_id: string | null;
  scopes: string[];
  /** Hash of the grant it was made under and ends with; null when a client acts for itself. */
  grant: string | null;
  /** ms since the epoch */
  expires_at: number;
  /** What the authorization server itself keeps of it. */
  sealed: string;
}

export type StoredCredential = ApiKey | WorkerToken | OAuthToken;

/** Makes a new credential of an org or a sandbox. @returns the text, shown once, and its hash, to be stored. */
export function newCredential(prefix: CredentialPrefix, orgId: string): { text: string; hash: string } {
  const partition = ALPHABET[PARTITIONS.indexOf(partitionOf(orgId))] ?? '0';
  const body = `${prefix}${partition}${base62(BigInt(`0x${randomBytes(20).toString('hex')}`), 27)}`;
  const text = body + checksum(body);
  return { text, hash: hashOf(text) };
}

/** A new API key of an org or of its sandbox, and its text. */
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

/** SHA-256 (hex) of a credential. */
export function hashOf(text: string): string {
  return hash('sha256', text, 'hex');
}

/** Where the credential would be found: its partition and hash; null when its form or checksum is wrong. */
export function parseCredential(text: string): { partition: string; hash: string; worker: boolean } | null {
  const [, prefix, partition = '', , sum] = FORM.exec(text) ?? [];
  const index = ALPHABET.indexOf(partition);
  if (prefix === undefined || index >= PARTITION_COUNT) return null;
  if (checksum(text.slice(0, -6)) !== sum) return null;
  return { partition: PARTITIONS[index] ?? 'p00', hash: hashOf(text), worker: prefix === 'blw_' };
}

const SHAPE: Shape<ApiKey> = {
  key_id: 'string',
  org_id: 'string',
  version: 'number',
  name: 'string',
  scopes: 'strings',
  pools: 'strings',
  hash: 'string',
  created_at: 'number',
};

function readCredential(text: string): Read<StoredCredential> {
  const json = readJson(text);
  if (json.kind !== 'known') return json;
  const isKey = isObject(json.value) && json.value.kind === 'api_key';
  if (isKey) return readShape<ApiKey>(json.value, SHAPE);
  return readShape<Exclude<StoredCredential, ApiKey>>(json.value, { kind: 'string', org_id: 'string' });
}

/**
 * Who a credential belongs to; null when it is not known (any more). Expiry is for the caller to judge.
 * @throws UnreadableRecord
 */
export async function findCredential(
  db: Db,
  where: { partition: string; hash: string },
): Promise<StoredCredential | null> {
  const key = partitionKeys(db.prefix, where.partition).credential(where.hash);
  const text = await db.redis.get(key);
  if (text === null) return null;
  const found = required(key, readCredential(text));
  // Its hash is what it was found by; compared once more, so that no other way of finding it can let in a near miss.
  if (found.kind === 'api_key' && !timingSafeEqual(Buffer.from(found.hash), Buffer.from(where.hash)))
    return null;
  return found;
}

/** Writes that make an API key usable and listed. */
export function apiKeyWrites(db: Db, key: ApiKey): Change {
  const { guards, writes } = keyRecordWrites(db, 0, key);
  const { index } = sharedKeysOf(db.prefix, key.org_id);
  const member = listMember(key.created_at, key.key_id);
  return { guards, writes: [...writes, ['ZADD', index('api_keys'), 0, member]] };
}

/** Writes that let a key end at `expiresAt` (or when it would anyway) since another takes its place. */
export function replacedKeyWrites(db: Db, key: ApiKey, by: { key_id: string; expiresAt: number }): Change {
  const expires_at = Math.min(key.expires_at ?? by.expiresAt, by.expiresAt);
  const after = { ...key, version: key.version + 1, expires_at, replaced_by: by.key_id };
  return keyRecordWrites(db, key.version, after);
}

/** The key itself, under its id to be listed and under its hash to be found. */
function keyRecordWrites(db: Db, before: number, key: ApiKey): Change {
  const { guards, writes } = recordWrites(
    sharedKeysOf(db.prefix, key.org_id).apiKey(key.key_id),
    before,
    key,
  );
  const { credential } = orgKeysOf(db.prefix, key.org_id);
  return { guards, writes: [...writes, ['SET', credential(key.hash), JSON.stringify(key)]] };
}

/** A key as it is listed, with about when it was last used (ms; null: never). */
export interface ListedKey {
  key: ApiKey;
  usedAt: number | null;
}

/** Keys of an org and its sandbox by their ids, in one round trip; null where there is none that can be read. */
export async function loadApiKeys(
  db: Db,
  orgId: string,
  ids: readonly string[],
): Promise<(ListedKey | null)[]> {
  if (ids.length === 0) return [];
  const { apiKey } = sharedKeysOf(db.prefix, orgId);
  return Promise.all(ids.map((id) => readableOrNull(db, () => loadListed(db, apiKey(id)))));
}

async function loadListed(db: Db, name: string): Promise<ListedKey | null> {
  const [used = null, ...fields] = await fetched(name, db.redis.hmget(name, 'u', ...RECORD_FIELDS));
  const key = readRecord(name, fields, SHAPE);
  return key === null ? null : { key, usedAt: used === null ? null : Number(used) };
}

/** Only of a key that is there: a use noted late must not bring back what was revoked. */
const NOTE_USE = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'u', ARGV[1]) end";

/** Notes that a key was used at this time, ms. */
export async function noteKeyUse(db: Db, key: { org_id: string; key_id: string }, at: number): Promise<void> {
  await db.redis.eval(NOTE_USE, 1, sharedKeysOf(db.prefix, key.org_id).apiKey(key.key_id), at);
}

/** Writes that revoke an API key: from this commit on nobody finds it. */
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

/** How many tokens a worker may have at once. */
export const WORKER_TOKENS = 100;

/** How many tokens the worker has. */
export function countWorkerTokens(db: Db, orgId: string, workerId: string): Promise<number> {
  return db.redis.scard(orgKeysOf(db.prefix, orgId).workerTokens(workerId));
}

/**
 * Guards and writes that make a token for a worker as they were loaded, while they have fewer than `WORKER_TOKENS`.
 * @param pools of the key that makes it; see `WorkerToken`.
 */
export function workerTokenWrites(
  db: Db,
  worker: Pick<Worker, 'org_id' | 'worker_id' | 'version' | 'incarnation'>,
  pools: readonly string[],
  hash: string,
): Change {
  const { org_id, worker_id, incarnation } = worker;
  const keys = orgKeysOf(db.prefix, org_id);
  const token: WorkerToken = {
    kind: 'worker_token',
    org_id,
    worker_id,
    ...(incarnation !== undefined && { incarnation }),
    ...(!pools.includes('*') && { pools }),
  };
  return {
    guards: [
      asLoaded(db, worker),
      { kind: 'room', of: 'SCARD', key: keys.workerTokens(worker_id), most: WORKER_TOKENS },
    ],
    writes: [
      ['SET', keys.credential(hash), JSON.stringify(token)],
      ['SADD', keys.workerTokens(worker_id), hash],
    ],
  };
}

/** Whether the worker that a token was made for is there, and not another of that id. */
export async function hasItsWorker(db: Db, token: WorkerToken): Promise<boolean> {
  const { org_id, worker_id, incarnation = '' } = token;
  const [version, current] = await db.redis.hmget(orgKeysOf(db.prefix, org_id).worker(worker_id), 'v', 'i');
  return version != null && (current ?? '') === incarnation;
}

/**
 * Guards and writes that revoke all tokens the worker has, with their hashes. They do not hold when one was made
 * meanwhile: it must end too.
 */
export async function revokeWorkerTokens(
  db: Db,
  orgId: string,
  workerId: string,
): Promise<Change & { hashes: string[] }> {
  const keys = orgKeysOf(db.prefix, orgId);
  const key = keys.workerTokens(workerId);
  const hashes = await db.redis.smembers(key);
  return {
    hashes,
    guards: [{ kind: 'members', key, members: hashes }],
    writes:
      hashes.length === 0
        ? []
        : [...hashes.map((hash): Write => ['DEL', keys.credential(hash)]), ['DEL', key]],
  };
}

function checksum(text: string): string {
  return base62(BigInt(hash('sha256', text, 'buffer').readUInt32BE(0)), 6);
}

function base62(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest /= 62n)
    text = (ALPHABET[Number(rest % 62n)] ?? '') + text;
  return text;
}
