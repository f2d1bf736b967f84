// A webhook endpoint: a receiver that an org registers for the events of all its tasks. Pure: which events it
// subscribes to, which headers it may add, and when it has failed for so long that it is disabled.

import type { EventType } from '../tasks/lifecycle.ts';
import type { Ordering } from '../tasks/task.ts';

/** A sealed signing secret. `expires_at` is in ms for a replaced secret during a rotation, null for the current one. */
export interface EndpointSecret {
  sealed: string;
  created_at: number;
  expires_at: number | null;
}

/** `v1`: HMAC-SHA256 with a shared secret. `v1a`: Ed25519; the receiver has the public key. */
export const SIGNATURES = ['v1', 'v1a'] as const;
type Signature = (typeof SIGNATURES)[number];

/** `manual`: by the org. `gone`: it answered 410. `failing`: every delivery failed for too long. */
export type DisabledReason = 'manual' | 'gone' | 'failing';

export interface Endpoint {
  endpoint_id: string;
  org_id: string;
  version: number;
  url: string;
  description: string;
  events: EventType[];
  /** `["*"]`, or the pools to whose tasks it is limited: those of the key that created it. */
  pools: readonly string[];
  enabled: boolean;
  disabled: { reason: DisabledReason; at: number } | null;
  signature: Signature;
  secrets: EndpointSecret[];
  /** The Ed25519 public key, `whpk_…`; null with `v1`. */
  public_key: string | null;
  /** Sealed JSON of name → value; null for none. */
  headers: { names: string[]; sealed: string } | null;
  retry_policy: { max_retries: number; backoff_seconds: number };
  /** Absent: `none`. */
  ordering?: Ordering;
  created_at: number;
  updated_at: number;
}

/** Whether the endpoint receives an event of a task in this pool (null: in none). */
export function wants(endpoint: Endpoint, type: string, pool: string | null): boolean {
  const mayKnow = endpoint.pools.includes('*') || (pool !== null && endpoint.pools.includes(pool));
  return endpoint.enabled && mayKnow && endpoint.events.some((one) => one === type);
}

/** Headers that the delivery or HTTP itself sets; an endpoint may not. */
const RESERVED = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
]);
const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/; // a token (RFC 9110, section 5.6.2)
const VALUE = /^[\t\x20-\x7e]*$/;

/** The fault of a custom header as a sentence; null when it may be sent. */
export function headerFault(name: string, value: string): string | null {
  const lower = name.toLowerCase();
  if (!NAME.test(name)) return 'is not a header name';
  if (RESERVED.has(lower) || /^(proxy|webhook|svix)-/.test(lower))
    return 'is a header that an endpoint cannot set';
  return VALUE.test(value) && value.trim() === value ? null : 'has a value that no header can carry';
}

/** Since when an endpoint has only failed (ms), and in how many of the five parts of the limit it did. */
export interface Failing {
  since: number;
  periods: number;
}

/** Default of the limit: how long every delivery must have failed, hours. */
export const DISABLE_AFTER_HOURS = 120;

/** The limit has `PARTS` parts; failures must lie in `BAD_PARTS` of them, so that a single bad day does not count. */
const PARTS = 5;
const BAD_PARTS = 3;

/** Number of the part that a time lies in. */
export function periodOf(now: number, limitMs: number): number {
  return Math.floor(now / Math.max(1, limitMs / PARTS));
}

/** Whether every delivery has failed for `limitMs`, with failures spread over that time. */
export function hasFailedTooLong(failing: Failing, now: number, limitMs: number): boolean {
  return now - failing.since >= limitMs && failing.periods >= BAD_PARTS;
}
