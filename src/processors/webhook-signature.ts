// Signs deliveries as Standard Webhooks lays down (standardwebhooks.com, version 1): HMAC-SHA256 over
// "id.timestamp.body", keyed with the bytes behind `whsec_`. The body is signed as the very bytes that
// are sent; while a secret rotates, every secret that still counts signs.

import { createHmac } from 'node:crypto';

const PREFIX = 'whsec_';
const MIN_KEY_BYTES = 24;
const MAX_KEY_BYTES = 64;
const CACHED_KEYS = 1000;

/** Decoded keys by secret, oldest first: base64 is decoded once per secret, not once per delivery. */
const keys = new Map<string, Buffer>();

function keyOf(secret: string): Buffer {
  const known = keys.get(secret);
  if (known !== undefined) return known;

  const encoded = secret.slice(PREFIX.length);
  const key = Buffer.from(encoded, 'base64');
  const isWellFormed = secret.startsWith(PREFIX) && /^[A-Za-z0-9+/]+={0,2}$/.test(encoded);
  if (!isWellFormed || key.length < MIN_KEY_BYTES || key.length > MAX_KEY_BYTES) {
    // Never the secret itself: this ends up in logs.
    throw new TypeError(`a webhook secret is ${PREFIX} and the base64 of 24 to 64 bytes`);
  }
  if (keys.size >= CACHED_KEYS) {
    const [oldest] = keys.keys();
    if (oldest !== undefined) keys.delete(oldest);
  }
  keys.set(secret, key);
  return key;
}

export interface Signable {
  /** The event's id: the same on every attempt, which is how a receiver spots a repeat. */
  id: string;
  /** Time of this attempt in whole seconds since the epoch. */
  timestampSeconds: number;
  /** The body exactly as it is sent. */
  body: string | Uint8Array;
  /** Every secret that still counts, the current one first. */
  secrets: readonly string[];
}

export interface SignatureHeaders {
  'webhook-id': string;
  'webhook-timestamp': string;
  'webhook-signature': string;
}

/**
 * The three headers of a signed delivery, one `v1` signature per secret, separated by spaces.
 * @throws TypeError when there is no secret, or one is malformed; RangeError when the time is no whole number.
 */
export function signatureHeaders({ id, timestampSeconds, body, secrets }: Signable): SignatureHeaders {
  if (secrets.length === 0) throw new TypeError('a delivery needs a secret to be signed with');
  if (!Number.isSafeInteger(timestampSeconds)) throw new RangeError('timestampSeconds is no whole number');
  const head = `${id}.${timestampSeconds}.`;
  const signatures = secrets.map(
    (secret) => `v1,${createHmac('sha256', keyOf(secret)).update(head).update(body).digest('base64')}`,
  );
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': signatures.join(' '),
  };
}
