// Credentials: API keys and worker tokens. The text is prefix, partition, random part and checksum, so a
// mistyped one is refused without a look-up and a right one is found beside its org's data. Only the
// SHA-256 of it is stored; with 160 random bits there is nothing to guess, so a slow hash adds nothing.

import { createHash, randomBytes } from 'node:crypto';
import type { Guard, Write } from './commit.ts';
import { orgKeysOf, PARTITION_COUNT, PARTITIONS, partitionKeys, partitionOf } from './keys.ts';
import { listMember } from './lists.ts';
import type { Db } from './redis.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const FORM = /^(blk_live_|blk_test_|blw_)([0-9A-Za-z])([0-9A-Za-z]{27})([0-9A-Za-z]{6})$/;

export interface ApiKey {
  kind: 'api_key';
  key_id: string;
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
}

export interface WorkerToken {
  kind: 'worker_token';
  org_id: string;
  worker_id: string;
}

/** Makes a new credential of an org. @returns the text, shown once, and its hash, to be stored. */
export function newCredential(
  prefix: 'blk_live_' | 'blk_test_' | 'blw_',
  orgId: string,
): { text: string; hash: string } {
  const partition = ALPHABET[PARTITIONS.indexOf(partitionOf(orgId))] ?? '0';
  const body = `${prefix}${partition}${base62(BigInt(`0x${randomBytes(20).toString('hex')}`), 27)}`;
  const text = body + checksum(body);
  return { text, hash: hashOf(text) };
}

/** SHA-256 (hex) of a credential. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Where the credential would be found: its partition and hash; null when its form or checksum is wrong. */
export function parseCredential(text: string): { partition: string; hash: string; worker: boolean } | null {
  const [, prefix, partition = '', , sum] = FORM.exec(text) ?? [];
  const index = ALPHABET.indexOf(partition);
  if (prefix === undefined || index >= PARTITION_COUNT) return null;
  if (checksum(text.slice(0, -6)) !== sum) return null;
  return { partition: PARTITIONS[index] ?? 'p00', hash: hashOf(text), worker: prefix === 'blw_' };
}

/** Who a credential belongs to; null when it is not known (any more). Expiry is for the caller to judge. */
export async function findCredential(
  db: Db,
  where: { partition: string; hash: string },
): Promise<ApiKey | WorkerToken | null> {
  const text = await db.redis.get(partitionKeys(db.prefix, where.partition).credential(where.hash));
  return text === null ? null : (JSON.parse(text) as ApiKey | WorkerToken);
}

/** Writes that make an API key usable and listed. */
export function apiKeyWrites(db: Db, key: ApiKey): { guards: Guard[]; writes: Write[] } {
  const keys = orgKeysOf(db.prefix, key.org_id);
  return {
    guards: [{ kind: 'version', key: keys.apiKey(key.key_id), version: 0 }],
    writes: [
      ['HSET', keys.apiKey(key.key_id), 'v', key.version, 'd', JSON.stringify(key)],
      ['SET', keys.credential(key.hash), JSON.stringify(key)],
      ['ZADD', keys.index('api_keys'), 0, listMember(key.created_at, key.key_id)],
    ],
  };
}

/** Writes that revoke an API key: from this commit on nobody finds it. */
export function revokeApiKey(db: Db, key: ApiKey): { guards: Guard[]; writes: Write[] } {
  const keys = orgKeysOf(db.prefix, key.org_id);
  return {
    guards: [{ kind: 'version', key: keys.apiKey(key.key_id), version: key.version }],
    writes: [
      ['DEL', keys.apiKey(key.key_id)],
      ['DEL', keys.credential(key.hash)],
      ['ZREM', keys.index('api_keys'), listMember(key.created_at, key.key_id)],
    ],
  };
}

/** Writes that make a worker token usable. */
export function workerTokenWrites(db: Db, token: WorkerToken, hash: string): Write[] {
  const keys = orgKeysOf(db.prefix, token.org_id);
  return [
    ['SET', keys.credential(hash), JSON.stringify(token)],
    ['SADD', keys.workerTokens(token.worker_id), hash],
  ];
}

/** Writes that revoke all tokens the worker has at this moment, with their hashes. */
export async function revokeWorkerTokens(
  db: Db,
  orgId: string,
  workerId: string,
): Promise<{ hashes: string[]; writes: Write[] }> {
  const keys = orgKeysOf(db.prefix, orgId);
  const hashes = await db.redis.smembers(keys.workerTokens(workerId));
  if (hashes.length === 0) return { hashes, writes: [] };
  return {
    hashes,
    writes: [
      ...hashes.map((hash): Write => ['DEL', keys.credential(hash)]),
      ['SREM', keys.workerTokens(workerId), ...hashes],
    ],
  };
}

function checksum(text: string): string {
  return base62(BigInt(createHash('sha256').update(text).digest().readUInt32BE(0)), 6);
}

function base62(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; text.length < length; rest /= 62n)
    text = (ALPHABET[Number(rest % 62n)] ?? '') + text;
  return text;
}
