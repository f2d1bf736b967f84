// Signs deliveries according to Standard Webhooks (standardwebhooks.com, version 1): HMAC-SHA256 over
// "id.timestamp.body", keyed with the bytes behind `whsec_`. The signed body is exactly the bytes that are sent. During
// a rotation every valid secret signs. A secret that is an Ed25519 key (`whsk_`) signs as `v1a`.

import { createHmac, createPrivateKey, type KeyObject, sign } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { secretFault } from '../../state/webhooks/secret.ts';

const PREFIX = 'whsec_';
const CACHED_KEYS = 1000;

/** Decoded keys by secret: base64 is decoded once per secret, not once per delivery. */
const keys = new LRUCache<string, Buffer>({ max: CACHED_KEYS });

function keyOf(secret: string): Buffer {
  const known = keys.get(secret);
  if (known !== undefined) return known;

  const fault = secretFault(secret);
  // The message must not contain the secret, because it is logged.
  if (fault !== null) throw new TypeError(`a webhook secret ${fault}`);
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  keys.set(secret, key);
  return key;
}

const PRIVATE_PREFIX = 'whsk_';
/** Prefix of the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const privateKeys = new LRUCache<string, KeyObject>({ max: CACHED_KEYS });

/** Reads `whsk_` and the base64 of the key's 32 bytes, optionally followed by the public key. */
function privateKeyOf(secret: string): KeyObject {
  const known = privateKeys.get(secret);
  if (known !== undefined) return known;
  const bytes = Buffer.from(secret.slice(PRIVATE_PREFIX.length), 'base64');
  if (bytes.length !== 32 && bytes.length !== 64)
    throw new TypeError(`a signing key is ${PRIVATE_PREFIX} and the base64 of 32 or 64 bytes`);
  const der = Buffer.concat([PKCS8, bytes.subarray(0, 32)]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  privateKeys.set(secret, key);
  return key;
}

function signatureBy(secret: string, head: string, body: string | Uint8Array): string {
  if (!secret.startsWith(PRIVATE_PREFIX))
    return `v1,${createHmac('sha256', keyOf(secret)).update(head).update(body).digest('base64')}`;
  const content = Buffer.concat([Buffer.from(head), Buffer.from(body)]);
  return `v1a,${sign(null, content, privateKeyOf(secret)).toString('base64')}`;
}

export interface Signable {
  /** The event's id, the same on every attempt, so that a receiver can detect repeats. */
  id: string;
  /** Time of this attempt in whole seconds since the epoch. */
  timestampSeconds: number;
  /** The body exactly as it is sent. */
  body: string | Uint8Array;
  /** Every valid secret, the current one first. */
  secrets: readonly string[];
}

export interface SignatureHeaders {
  'webhook-id': string;
  'webhook-timestamp': string;
  'webhook-signature': string;
}

/**
 * The three headers of a signed delivery, one signature per secret, separated by spaces.
 * @throws TypeError when there is no secret, or one is malformed; RangeError when the time is not a whole number.
 */
export function signatureHeaders({ id, timestampSeconds, body, secrets }: Signable): SignatureHeaders {
  if (secrets.length === 0) throw new TypeError('a delivery needs at least one signing secret');
  if (!Number.isSafeInteger(timestampSeconds)) throw new RangeError('timestampSeconds is not a whole number');
  const head = `${id}.${timestampSeconds}.`;
  const signatures = secrets.map((secret) => signatureBy(secret, head, body));
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': signatures.join(' '),
  };
}
