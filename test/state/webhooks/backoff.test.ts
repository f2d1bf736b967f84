// The wait before a retry: never shorter than promised, at most 20 % longer, never over a day.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_DELAY_MS, nextAttemptDelay, parseRetryAfter } from '../../../src/state/webhooks/backoff.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const NOW = Date.UTC(2026, 6, 31, 12, 0, 0);

const retries = fc.integer({ min: 1, max: 2000 });
const backoffs = fc.oneof(
  fc.integer({ min: 1, max: 3600 }),
  fc.double({ min: 0.001, max: 3600, noNaN: true }),
);
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const asked = fc.option(fc.integer({ min: 0, max: 2 * DAY_MS }));

describe('nextAttemptDelay', () => {
  it('is at least the backoff or Retry-After and at most 20 % longer, for any numbers', () => {
    fc.assert(
      fc.property(retries, backoffs, asked, chance, (retry, backoffSeconds, retryAfterMs, random) => {
        const delay = nextAttemptDelay({ retry, backoffSeconds, retryAfterMs, random: () => random });
        const backoff = backoffSeconds * 1000 * 2 ** (retry - 1);
        const floor = Math.min(Math.max(backoff, retryAfterMs ?? 0), DAY_MS);
        expect(Number.isInteger(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(floor);
        expect(delay).toBeLessThanOrEqual(Math.min(Math.ceil(floor) * 1.2, DAY_MS));
      }),
    );
  });

  it('doubles with each retry', () => {
    const delays = [1, 2, 3, 4].map((retry) =>
      nextAttemptDelay({ retry, backoffSeconds: 30, retryAfterMs: null, random: () => 0 }),
    );
    expect(delays).toEqual([30_000, 60_000, 120_000, 240_000]);
  });

  it('spreads retries over the whole 20 %', () => {
    const at = (random: number) =>
      nextAttemptDelay({ retry: 1, backoffSeconds: 100, retryAfterMs: null, random: () => random });
    expect([at(0), at(0.5), at(0.999_999)]).toEqual([100_000, 110_000, 119_999]);
  });

  it('ignores a Retry-After that is shorter than the backoff', () => {
    expect(nextAttemptDelay({ retry: 3, backoffSeconds: 30, retryAfterMs: 1000, random: () => 0 })).toBe(
      120_000,
    );
  });

  it('waits for a Retry-After that is longer than the backoff', () => {
    const random = () => 0;
    expect(nextAttemptDelay({ retry: 1, backoffSeconds: 1, retryAfterMs: 90_000, random })).toBe(90_000);
  });

  it('is at most a day', () => {
    expect(MAX_DELAY_MS).toBe(DAY_MS);
    const random = () => 0.9;
    expect(nextAttemptDelay({ retry: 20, backoffSeconds: 3600, retryAfterMs: null, random })).toBe(DAY_MS);
    expect(nextAttemptDelay({ retry: 1, backoffSeconds: 1, retryAfterMs: 9 * DAY_MS, random })).toBe(DAY_MS);
  });

  it.each([
    [0, 30],
    [-1, 30],
    [1, 0],
    [1, Number.NaN],
    [Number.NaN, 30],
  ])('refuses retry %d with a backoff of %d s', (retry, backoffSeconds) => {
    expect(() => nextAttemptDelay({ retry, backoffSeconds, retryAfterMs: null, random: () => 0 })).toThrow(
      RangeError,
    );
  });
});

describe('parseRetryAfter', () => {
  it.each<[string | null | undefined, number | null]>([
    ['0', 0],
    ['120', 120_000],
    [' 120 ', 120_000],
    ['1.5', 1500],
    ['0.0001', 1],
    ['86400', DAY_MS],
    ['86401', DAY_MS],
    ['9'.repeat(400), DAY_MS],
    ['Fri, 31 Jul 2026 12:01:00 GMT', 60_000],
    ['Friday, 31-Jul-26 12:01:00 GMT', 60_000],
    ['Fri Jul 31 12:01:00 2026', 60_000],
    ['Sat Aug  1 12:00:00 2026', DAY_MS],
    ['Sun, 02 Aug 2026 12:00:00 GMT', DAY_MS],
    ['Fri, 31 Jul 2026 11:59:59 GMT', 0],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 0],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['', null],
    [null, null],
    [undefined, null],
    ['-1', null],
    ['+5', null],
    ['1e3', null],
    ['0x10', null],
    ['.5', null],
    ['5.', null],
    ['5, 10', null],
    ['soon', null],
    ['NaN', null],
    ['Infinity', null],
    ['2026-07-31T12:01:00Z', null],
    ['Fri, 31 Jul 2026 12:01:00', null],
    ['Fri, 31 Jul 2026 12:01:00 CET', null],
    ['Fri, 31 Jul 2026 25:00:00 GMT', null],
    ['31 Jul 2026 12:01:00 GMT', null],
  ])('reads %j as %j', (value, expected) => {
    expect(parseRetryAfter(value, NOW)).toBe(expected);
  });
});
