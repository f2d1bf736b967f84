// A token bucket, stored as the time at which it will be full again (the generic cell rate algorithm), so that a full
// bucket needs no storage. Pure; `store/redis/rate-buckets.ts` does the same in Redis for all processes.

/** `requests` at once, refilled evenly over `seconds`. */
export interface Quota {
  requests: number;
  seconds: number;
}

/** The highest rate of a quota in requests per second: times are stored to the microsecond. */
export const FASTEST = 1_000_000;

/** Parses a quota such as `600/60`; null when the text is not one. */
export function parseQuota(text: string): Quota | null {
  const [, requests = '', seconds = ''] = /^([1-9]\d{0,8})\/([1-9]\d{0,4})$/.exec(text) ?? [];
  const quota = { requests: Number(requests), seconds: Number(seconds) };
  return requests !== '' && quota.seconds <= 86_400 && quota.requests <= FASTEST * quota.seconds
    ? quota
    : null;
}

/** How long one token takes to be refilled, ms. */
export function stepOf({ requests, seconds }: Quota): number {
  return (seconds * 1000) / requests;
}

/**
 * Takes a token from the bucket that is full at `fullAt` (ms; a time in the past: it is full now).
 * @returns when it is full after that; for an empty bucket, how long to wait, ms.
 */
export function takeOne(
  quota: Quota,
  fullAt: number,
  now: number,
): { ok: true; fullAt: number } | { ok: false; wait: number } {
  const step = stepOf(quota);
  const after = Math.max(fullAt, now) + step;
  const wait = after - now - quota.seconds * 1000;
  // A thousandth of tolerance: rounding errors must not cost the last token.
  return wait > step / 1000 ? { ok: false, wait } : { ok: true, fullAt: after };
}
