// The claim on an Idempotency-Key while its request runs.
import { expect, it } from 'vitest';
import { ResponseRecorder } from '../../../src/api/middleware/response-recorder.ts';
import { claimKey } from '../../../src/store/redis/idempotency.ts';
import { freshOrg, openTestDb } from '../../support/db.ts';
import { sealer } from '../../support/processors.ts';

const db = await openTestDb();

it('holds the claim of a request that takes long, and lets it expire when the request has ended', async () => {
  const claimed = await claimKey(db, freshOrg(db), 'scope', 'body', 'token');
  if (claimed.kind !== 'claimed') throw new Error('the key is new');
  const { claim } = claimed;
  const usage = { addResponse: () => undefined } as never;
  const recorder = new ResponseRecorder({ db, sealer, usage }, { kind: 'operator' } as never);
  recorder.hold(claim);
  const left = () => db.redis.pttl(claim.key);
  for (let renewed = 0; renewed < 2; renewed += 1) {
    await expect.poll(left, { interval: 20, timeout: 5000 }).toBeLessThan(2500);
    await expect.poll(left, { interval: 20, timeout: 5000 }).toBeGreaterThan(2700);
  }
  recorder.end();
  await expect.poll(() => db.redis.exists(claim.key), { timeout: 10_000 }).toBe(0);
});

it('asks for a repetition of a request that was held up until its claim expired', async () => {
  const claimed = await claimKey(db, freshOrg(db), 'scope', 'body', 'token');
  if (claimed.kind !== 'claimed') throw new Error('the key is new');
  const usage = { addResponse: () => undefined } as never;
  const recorder = new ResponseRecorder({ db, sealer, usage }, { kind: 'operator' } as never);
  recorder.claim = claimed.claim;
  await expect(recorder.requireClaim()).resolves.toBeUndefined();
  await db.redis.del(claimed.claim.key);
  await expect(recorder.requireClaim()).rejects.toMatchObject({
    code: 'idempotency_in_flight',
    headers: { 'Retry-After': '1' },
  });
});
