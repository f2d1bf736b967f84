// What a webhook endpoint is: a receiver that an org registers for the events of all its tasks. Pure: which
// events it wants, which headers it may add, and when failing has lasted long enough to stop.

import type { EventType } from '../tasks/lifecycle.ts';

/** A secret that signs, sealed; `expires_at` (ms) while a rotation overlaps, null for the current one. */
export interface EndpointSecret {
  sealed: string;
  created_at: number;
  expires_at: number | null;
}

/** `v1`: HMAC-SHA256 with a shared secret. `v1a`: Ed25519, whose public half the receiver has. */
export const SIGNATURES = ['v1', 'v1a'] as const;
export type Signature = (typeof SIGNATURES)[number];

/** `per_task`: the events of a task one after the other, in the order of their sequence. */
export const ORDERINGS = ['none', 'per_task'] as const;
export type Ordering = (typeof ORDERINGS)[number];

/** `manual`: by the org. `gone`: it answered 410. `failing`: nothing got through for too long. */
export type DisabledReason = 'manual' | 'gone' | 'failing';

export interface Endpoint {
  endpoint_id: string;
  org_id: string;
  version: number;
  url: string;
  description: string;
  events: EventType[];
  /** `["*"]`, or the pools whose tasks alone it is told of: those of the key that made it. */
  pools: readonly string[];
  enabled: boolean;
  disabled: { reason: DisabledReason; at: number } | null;
  signature: Signature;
  secrets: EndpointSecret[];
  /** The Ed25519 key that verifies, `whpk_…`; null with `v1`. */
  public_key: string | null;
  /** Sealed JSON of name → value; null for none. */
  headers: { names: string[]; sealed: string } | null;
  retry_policy: { max_retries: number; backoff_seconds: number };
  /** Absent: `none`. */
  ordering?: Ordering;
  created_at: number;
  updated_at: number;
}

/** Whether the endpoint is to be told of an event of a task in this pool (null: in none). */
export function wants(endpoint: Endpoint, type: string, pool: string | null): boolean {
  const mayKnow = endpoint.pools.includes('*') || (pool !== null && endpoint.pools.includes(pool));
  return endpoint.enabled && mayKnow && endpoint.events.some((one) => one === type);
}

/** What the delivery itself, or HTTP, says by a header: nobody else may. */
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

/** What is wrong with a header that an endpoint wants added, as a sentence; null when it may be sent. */
export function headerFault(name: string, value: string): string | null {
  const lower = name.toLowerCase();
  if (!NAME.test(name)) return 'is not a header name';
  if (RESERVED.has(lower) || /^(proxy|webhook|svix)-/.test(lower))
    return 'is a header that is not yours to set';
  return VALUE.test(value) && value.trim() === value ? null : 'has a value that no header can carry';
}

/** How an endpoint has been failing: since when (ms), and in how many of five parts of the limit. */
export interface Failing {
  since: number;
  periods: number;
}

/** In how many parts of the limit it must have failed: one bad day with long silence around is none of five. */
const PARTS = 5;
const BAD_PARTS = 3;

/** The part of the limit a moment lies in, for counting. */
export function periodOf(now: number, limitMs: number): number {
  return Math.floor(now / Math.max(1, limitMs / PARTS));
}

/** Whether nothing has got through for `limitMs`, and not only now and then. */
export function isHopeless(failing: Failing, now: number, limitMs: number): boolean {
  return now - failing.since >= limitMs && failing.periods >= BAD_PARTS;
}
