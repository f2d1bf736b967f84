// Credentials: the checksum rejects a mistyped one without a look-up, a valid one is found in the partition of its org, a
// revoked one is not found, and the text itself is never stored.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ApiKey, apiKeyWrites, revokeApiKey } from '../../../src/store/identity/api-keys.ts';
import { hashOf, newCredential, parseCredential } from '../../../src/store/identity/credential-text.ts';
import { findCredential } from '../../../src/store/identity/credentials.ts';
import { revokeWorkerTokens, workerTokenWrites } from '../../../src/store/identity/worker-tokens.ts';
import { commit } from '../../../src/store/redis/commit.ts';
import { newNumberedId } from '../../../src/store/redis/ids.ts';
import { PARTITIONS, partitionOf } from '../../../src/store/redis/keys.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';
import { sampleWorker } from '../../support/tasks.ts';

const db = await openTestDb();

describe('a credential', () => {
  it.each(['blk_live_', 'blk_test_', 'blw_'] as const)('%s names its partition', (prefix) => {
    for (let tries = 0; tries < 50; tries += 1) {
      const org = freshOrg(db);
      const { text, hash } = newCredential(prefix, org);
      expect(text).toMatch(new RegExp(`^${prefix}[0-9A-Za-z]{34}$`));
      expect(parseCredential(text)).toEqual({
        partition: partitionOf(org),
        hash,
        worker: prefix === 'blw_',
      });
      expect(hash).toBe(hashOf(text));
    }
  });

  it('names each of the partitions, those of the first sixteen as earlier releases do', () => {
    for (const [number, partition] of PARTITIONS.entries()) {
      const org = newNumberedId(db.clock.now(), number);
      expect(partitionOf(org)).toBe(partition);
      expect(partitionOf(`${org}-test`)).toBe(partition);
      const { text } = newCredential('blk_live_', org);
      expect(text).toHaveLength('blk_live_'.length + (number < 16 ? 34 : 35));
      expect(parseCredential(text)?.partition).toBe(partition);
    }
    // Orgs of earlier releases stay where they are.
    expect(partitionOf('019aa1b2-0000-7000-8000-000000000000')).toBe('p34');
    expect(partitionOf('019aa1b2-0000-7000-8000-000000000001')).toBe('p08');
  });

  it('is different each time', () => {
    const org = freshOrg(db);
    const texts = Array.from({ length: 1000 }, () => newCredential('blw_', org).text);
    expect(new Set(texts).size).toBe(texts.length);
  });

  it('is rejected when any one character is mistyped', () => {
    const { text } = newCredential('blk_live_', freshOrg(db));
    fc.assert(
      fc.property(
        fc.nat(text.length - 1),
        fc.constantFrom(...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_- é'),
        (at, character) => {
          fc.pre(text[at] !== character);
          return parseCredential(text.slice(0, at) + character + text.slice(at + 1)) === null;
        },
      ),
      { numRuns: 500 },
    );
  });

  it('is rejected when two characters are swapped, or it is cut or padded', () => {
    const { text } = newCredential('blk_test_', freshOrg(db));
    for (let at = 0; at + 1 < text.length; at += 1) {
      const [a = '', b = ''] = [text[at], text[at + 1]];
      if (a !== b) expect(parseCredential(text.slice(0, at) + b + a + text.slice(at + 2))).toBeNull();
      expect(parseCredential(text.slice(0, at))).toBeNull();
    }
    for (const padded of [` ${text}`, `${text} `, `${text}\n`, `${text}0`, text.repeat(2)])
      expect(parseCredential(padded)).toBeNull();
  });

  it('has no other form', () => {
    fc.assert(fc.property(fc.string(), (text) => parseCredential(text) === null));
  });
});

function apiKey(orgId: string, hash: string): ApiKey {
  const now = db.clock.now();
  return {
    kind: 'api_key',
    key_id: `key-${hash.slice(0, 8)}`,
    org_id: orgId,
    version: 1,
    name: 'CI',
    scopes: ['*'],
    pools: ['*'],
    hash,
    hint: 'blk_live_0',
    created_at: now,
    expires_at: null,
  };
}

async function find(text: string) {
  const where = parseCredential(text);
  return where === null ? null : findCredential(db, where);
}

/** The value of a key, as text. */
async function contentOf(key: string): Promise<string> {
  switch (await db.redis.type(key)) {
    case 'string':
      return (await db.redis.get(key)) ?? '';
    case 'hash':
      return JSON.stringify(await db.redis.hgetall(key));
    case 'set':
      return (await db.redis.smembers(key)).join();
    case 'zset':
      return (await db.redis.zrange(key, 0, '-1')).join();
    default:
      throw new Error(`nobody looks into ${key}`);
  }
}

describe('the store', () => {
  it('finds an API key from its commit until it is revoked', async () => {
    const org = freshOrg(db);
    const { text, hash } = newCredential('blk_live_', org);
    const key = apiKey(org, hash);
    expect(await find(text)).toBeNull();
    const { guards, writes } = apiKeyWrites(db, key);
    expect(await commit(db.redis, { guards, writes })).toBe(true);
    expect(await find(text)).toEqual(key);
    // A second key with the same id is refused.
    expect(await commit(db.redis, { guards, writes })).toBe(false);
    const revoked = revokeApiKey(db, key);
    expect(await commit(db.redis, revoked)).toBe(true);
    expect(await find(text)).toBeNull();
  });

  it('revokes all tokens of a worker and no others', async () => {
    const org = freshOrg(db);
    const give = async (worker_id: string) => {
      const { text, hash } = newCredential('blw_', org);
      const worker = sampleWorker({ org_id: org, worker_id });
      await commit(db.redis, { guards: [], writes: workerTokenWrites(db, worker, ['*'], hash).writes });
      return text;
    };
    const [first, second, others] = [await give('a'), await give('a'), await give('b')];
    const early = await revokeWorkerTokens(db, org, 'a');
    const third = await give('a');
    // Without the guard, the third token would stay valid.
    expect(await commit(db.redis, early)).toBe(false);
    const { hashes, guards, writes } = await revokeWorkerTokens(db, org, 'a');
    expect([...hashes].sort()).toEqual([hashOf(first), hashOf(second), hashOf(third)].sort());
    expect(await commit(db.redis, { guards, writes })).toBe(true);
    expect(await Promise.all([find(first), find(second), find(third)])).toEqual([null, null, null]);
    expect(await find(others)).toEqual({ kind: 'worker_token', org_id: org, worker_id: 'b' });
    expect(await revokeWorkerTokens(db, org, 'a')).toMatchObject({ hashes: [], writes: [] });
  });

  it('does not contain the text of a credential', async () => {
    const org = freshOrg(db);
    const { text, hash } = newCredential('blk_live_', org);
    await commit(db.redis, apiKeyWrites(db, apiKey(org, hash)));
    const keys = await db.redis.keys(`${db.prefix}:*`);
    const values = await Promise.all(keys.map(contentOf));
    expect(values.some((value) => value.includes(hash))).toBe(true);
    expect([...keys, ...values].filter((one) => one.includes(text))).toEqual([]);
  });
});
