// Token buckets as pure arithmetic, and quotas as text.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuota, type Quota, stepOf, takeOne } from '../../../src/state/access/token-bucket.ts';

describe('parsing a quota', () => {
  it.each([
    ['600/60', { requests: 600, seconds: 60 }],
    ['1/86400', { requests: 1, seconds: 86_400 }],
    ['1000000/1', { requests: 1_000_000, seconds: 1 }],
  ])('%s', (text, quota) => expect(parseQuota(text)).toEqual(quota));

  it.each(['', '600', '0/1', '1/0', '1/86401', '-1/1', '1.5/1', ' 1/1', '1/1s', '1000001/1', '1e3/1'])(
    '"%s" is none',
    (text) => expect(parseQuota(text)).toBeNull(),
  );
});

const quotas = fc.record({
  requests: fc.integer({ min: 1, max: 1000 }),
  seconds: fc.integer({ min: 1, max: 86_400 }),
});

/** How many of the requests at these times pass. */
function passing(quota: Quota, times: readonly number[]): number {
  let fullAt = 0;
  let count = 0;
  for (const time of times) {
    const taken = takeOne(quota, fullAt, time);
    if (!taken.ok) continue;
    fullAt = taken.fullAt;
    count += 1;
  }
  return count;
}

describe('a token bucket', () => {
  it('grants exactly its capacity at once', () => {
    fc.assert(
      fc.property(quotas, fc.integer({ min: 1, max: 1e9 }), (quota, now) => {
        expect(passing(quota, Array(quota.requests + 3).fill(now))).toBe(quota.requests);
      }),
      { numRuns: 30 },
    );
  });

  it('never grants more than its capacity plus what was refilled', () => {
    fc.assert(
      fc.property(quotas, fc.array(fc.nat(5000), { maxLength: 300 }), (quota, gaps) => {
        let now = 1e9;
        const times = gaps.map((gap) => (now += gap));
        const back = (((times.at(-1) ?? 1e9) - (times[0] ?? 1e9)) / 1000 / quota.seconds) * quota.requests;
        expect(passing(quota, times)).toBeLessThanOrEqual(quota.requests + back + 0.01);
      }),
    );
  });

  it('gives the exact time to wait', () => {
    fc.assert(
      fc.property(quotas, (quota) => {
        const now = 1e9;
        let fullAt = 0;
        let taken = takeOne(quota, fullAt, now);
        while (taken.ok) {
          fullAt = taken.fullAt;
          taken = takeOne(quota, fullAt, now);
        }
        const hundredth = stepOf(quota) / 100;
        expect(takeOne(quota, fullAt, now + taken.wait - hundredth).ok).toBe(false);
        expect(takeOne(quota, fullAt, now + taken.wait).ok).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});
