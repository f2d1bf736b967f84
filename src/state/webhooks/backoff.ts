// When a failed delivery is retried: exponential backoff, which jitter and the receiver's Retry-After can only lengthen.
// Pure: the caller provides clock and randomness.

const SECOND = 1000;
const HOUR = 3600 * SECOND;

/** No wait is longer: neither backoff nor Retry-After. */
export const MAX_DELAY_MS = 24 * HOUR;
const JITTER = 0.2;

export interface NextAttempt {
  /** Which retry this is for: 1 after the first attempt failed. */
  retry: number;
  /** `retry_policy.backoff_seconds`: the wait before retry 1. */
  backoffSeconds: number;
  /** What the receiver asked for, from `parseRetryAfter`; null when it said nothing. */
  retryAfterMs: number | null;
  /** A number in [0, 1); `Math.random` outside tests. */
  random: () => number;
}

/**
 * Milliseconds to wait before a retry. The minimum is `backoff · 2^(retry-1)`, or Retry-After where that is longer. Up
 * to 20 % of jitter is added, so that retries to a recovered receiver are spread out and never early. At most 24 h.
 * @throws RangeError when retry or backoff is not a positive number.
 */
export function nextAttemptDelay({ retry, backoffSeconds, retryAfterMs, random }: NextAttempt): number {
  if (!(retry >= 1) || !(backoffSeconds > 0)) {
    throw new RangeError('retry and backoffSeconds must be positive');
  }
  const backoff = backoffSeconds * SECOND * 2 ** (retry - 1);
  const floor = Math.min(Math.ceil(Math.max(backoff, retryAfterMs ?? 0)), MAX_DELAY_MS);
  return Math.min(Math.floor(floor + floor * JITTER * random()), MAX_DELAY_MS);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)';
const MONTH = `(?<month>${MONTHS.join('|')})`;
const TIME = '(?<h>\\d\\d):(?<m>\\d\\d):(?<s>\\d\\d)';
const HTTP_DATES = [
  new RegExp(`^${DAY}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`), // IMF-fixdate
  new RegExp(`^${DAY}[a-z]*, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`), // RFC 850
  new RegExp(`^${DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`), // asctime
];

/** Milliseconds since the epoch of an HTTP-date in any of its three forms (RFC 9110, section 5.6.7). */
function parseHttpDate(text: string, nowMs: number): number | null {
  for (const form of HTTP_DATES) {
    const { day, month = '', year = '', h, m, s } = form.exec(text)?.groups ?? {};
    if (day === undefined) continue;
    if (Number(h) > 23 || Number(m) > 59 || Number(s) > 60) return null;
    const at = (fullYear: number) =>
      Date.UTC(fullYear, MONTHS.indexOf(month), Number(day), Number(h), Number(m), Number(s));
    if (year.length === 4) return at(Number(year));
    // A two-digit year that would be more than 50 years ahead is in the past (RFC 9110).
    const thisYear = new Date(nowMs).getUTCFullYear();
    const sameCentury = thisYear - (thisYear % 100) + Number(year);
    return at(sameCentury > thisYear + 50 ? sameCentury - 100 : sameCentury);
  }
  return null;
}

/**
 * Milliseconds that a Retry-After header asks to wait (RFC 9110, section 10.2.3), seen at `nowMs`
 * (milliseconds since the epoch). Seconds may have a fraction: the RFC does not allow it, but servers send it. A time in
 * the past gives 0, a wait beyond 24 h gives 24 h, and any other text gives null.
 */
export function parseRetryAfter(value: string | null | undefined, nowMs: number): number | null {
  const text = value?.trim() ?? '';
  const at = /^\d+(\.\d+)?$/.test(text) ? nowMs + Number(text) * SECOND : parseHttpDate(text, nowMs);
  if (at === null || Number.isNaN(at)) return null;
  return Math.min(Math.max(0, Math.ceil(at - nowMs)), MAX_DELAY_MS);
}
