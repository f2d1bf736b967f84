// Idempotency keys: one of many claims wins; the response replaces the claim in the commit of the effect, or neither is
// written; a released or expired claim can be taken again.
import { describe, expect, it } from 'vitest';
import { commit } from '../../../src/store/redis/commit.ts';
import {
  type Claim,
  claimKey,
  releaseClaim,
  storedResponseWrites,
} from '../../../src/store/redis/idempotency.ts';
import { orgKeysOf } from '../../../src/store/redis/keys.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';

const db = await openTestDb();
const answer = { status: 201, headers: { Location: '/v1/tasks/1' }, body: 'sealed' };

const claimOf = async (org: string, scope: string, fingerprint: string, token: string): Promise<Claim> => {
  const claimed = await claimKey(db, org, scope, fingerprint, token);
  if (claimed.kind !== 'claimed') throw new Error(`not claimed: ${claimed.kind}`);
  return claimed.claim;
};
const keep = (claim: Claim, effect: string) => {
  const { guards, writes } = storedResponseWrites(claim, answer);
  return commit(db.redis, { guards, writes: [...writes, ['INCR', effect]] });
};

describe('a key', () => {
  it('is granted to one of 1000 concurrent claims', async () => {
    const org = freshOrg(db);
    const claims = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => claimKey(db, org, 'scope', 'body', `token-${index}`)),
    );
    const kinds = claims.map((one) => one.kind);
    expect(kinds.filter((one) => one === 'claimed')).toHaveLength(1);
    expect(kinds.filter((one) => one === 'in_flight')).toHaveLength(999);
  });

  it('is refused with another body, while in flight and after the response', async () => {
    const org = freshOrg(db);
    const claim = await claimOf(org, 'scope', 'body', 'a');
    expect((await claimKey(db, org, 'scope', 'other', 'b')).kind).toBe('reused');
    await keep(claim, `${claim.key}-effect`);
    expect((await claimKey(db, org, 'scope', 'other', 'b')).kind).toBe('reused');
  });

  it('returns the first response to every repeat', async () => {
    const org = freshOrg(db);
    const claim = await claimOf(org, 'scope', 'body', 'a');
    expect(await keep(claim, `${claim.key}-effect`)).toBe(true);
    for (let again = 0; again < 3; again += 1)
      expect(await claimKey(db, org, 'scope', 'body', 'b')).toEqual({ kind: 'answered', response: answer });
  });

  it('keeps its response for a day when another claim was refused just before it was stored', async () => {
    const org = freshOrg(db);
    const claim = await claimOf(org, 'scope', 'body', 'a');
    // The response is stored after the second request has read the claim, and before its next command.
    const redis = db.redis.duplicate();
    const evaluate = redis.eval.bind(redis);
    Object.assign(redis, {
      eval: async (script: string, count: number, ...args: string[]) => {
        expect(await keep(claim, `${claim.key}-effect`)).toBe(true);
        return evaluate(script, count, ...args);
      },
    });
    try {
      const second = await claimKey({ ...db, redis }, org, 'scope', 'body', 'b');
      expect(second).toEqual({ kind: 'in_flight' });
    } finally {
      redis.disconnect();
    }
    expect(await db.redis.pttl(claim.key)).toBeGreaterThan(23 * 3600 * 1000);
  });

  it('is independent in each org and scope', async () => {
    const [one, two] = [freshOrg(db), freshOrg(db)];
    await claimOf(one, 'scope', 'body', 'a');
    await claimOf(two, 'scope', 'body', 'b');
    await claimOf(one, 'other scope', 'body', 'c');
  });
});

describe('a claim', () => {
  it('can be taken again after its release, also with another body', async () => {
    const org = freshOrg(db);
    await releaseClaim(db, await claimOf(org, 'scope', 'body', 'a'));
    await claimOf(org, 'scope', 'corrected', 'b');
  });

  it('is released only by its holder, and not after the response', async () => {
    const org = freshOrg(db);
    const first = await claimOf(org, 'scope', 'body', 'a');
    await releaseClaim(db, { ...first, text: JSON.stringify({ fingerprint: 'body', token: 'b' }) });
    expect((await claimKey(db, org, 'scope', 'body', 'c')).kind).toBe('in_flight');
    await keep(first, `${first.key}-effect`);
    await releaseClaim(db, first);
    expect((await claimKey(db, org, 'scope', 'body', 'c')).kind).toBe('answered');
  });

  it('cannot commit after it was lost to another request', async () => {
    const org = freshOrg(db);
    const slow = await claimOf(org, 'scope', 'body', 'slow');
    const effect = `${slow.key}-effect`;
    // It expired and another request holds the key now.
    await db.redis.del(slow.key);
    const fast = await claimOf(org, 'scope', 'body', 'fast');
    expect(await keep(slow, effect)).toBe(false);
    expect(await keep(fast, effect)).toBe(true);
    expect(await keep(slow, effect)).toBe(false);
    expect(await db.redis.get(effect)).toBe('1');
  });

  it('expires by itself; a response is kept for a day', async () => {
    const org = freshOrg(db);
    const claim = await claimOf(org, 'scope', 'body', 'a');
    expect(claim.key).toBe(orgKeysOf(db.prefix, org).idempotency('scope'));
    const claimLife = await db.redis.pttl(claim.key);
    expect(claimLife).toBeGreaterThan(0);
    expect(claimLife).toBeLessThanOrEqual(90_000);
    await keep(claim, `${claim.key}-effect`);
    const kept = await db.redis.pttl(claim.key);
    expect(kept).toBeGreaterThan(23 * 3600_000);
    expect(kept).toBeLessThanOrEqual(24 * 3600_000);
  });
});
