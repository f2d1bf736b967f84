// A quota: so many requests at once, and as many again over so many seconds. A token bucket, kept as the one
// time at which it will be full again (the generic cell rate algorithm), so that a full bucket is nothing at
// all. Pure; `store/redis/rate-buckets.ts` does the same in Redis for all processes.

/** `requests` at once, refilled evenly over `seconds`. */
export interface Quota {
  requests: number;
  seconds: number;
}

/** The fastest a quota may be, requests a second: times are kept to the microsecond. */
export const FASTEST = 1_000_000;

/** The quota in a text such as `600/60`; null when it is none. */
export function parseQuota(text: string): Quota | null {
  const [, requests = '', seconds = ''] = /^([1-9]\d{0,8})\/([1-9]\d{0,4})$/.exec(text) ?? [];
  const quota = { requests: Number(requests), seconds: Number(seconds) };
  return requests !== '' && quota.seconds <= 86_400 && quota.requests <= FASTEST * quota.seconds
    ? quota
    : null;
}

/** How long one request's place takes to come back, ms. */
export function stepOf({ requests, seconds }: Quota): number {
  return (seconds * 1000) / requests;
}

/**
 * Takes one from the bucket that is full at `fullAt` (ms; anything past: it is full now).
 * @returns when it is full after that; or, of an empty one, how long to wait, ms.
 */
export function takeOne(
  quota: Quota,
  fullAt: number,
  now: number,
): { ok: true; fullAt: number } | { ok: false; wait: number } {
  const step = stepOf(quota);
  const after = Math.max(fullAt, now) + step;
  const wait = after - now - quota.seconds * 1000;
  // A thousandth of slack: sums of fractions must not cost the last place.
  return wait > step / 1000 ? { ok: false, wait } : { ok: true, fullAt: after };
}
