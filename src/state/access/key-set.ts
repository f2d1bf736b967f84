// The public keys that verify exports, as a JWK set (RFC 7517).

import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { canonicalText } from '../text/canonical.ts';

/** A public key as JWK (RFC 8037), under its thumbprint (RFC 7638). */
export interface PublicKey {
  kty: 'OKP';
  crv: 'Ed25519';
  x: string;
  kid: string;
  use: 'sig';
  alg: 'EdDSA';
}

/** The JWK of an Ed25519 public key. */
export function publicKeyOf(key: KeyObject): PublicKey {
  const { x = '' } = key.export({ format: 'jwk' });
  const kid = hash('sha256', canonicalText({ crv: 'Ed25519', kty: 'OKP', x }), 'base64url');
  return { kty: 'OKP', crv: 'Ed25519', x, kid, use: 'sig', alg: 'EdDSA' };
}

/** The public keys of a JWK set by their ids; what is not an Ed25519 key is left out. */
export function readKeySet(set: unknown): Map<string, KeyObject> {
  const keys = new Map<string, KeyObject>();
  const list =
    typeof set === 'object' && set !== null && 'keys' in set && Array.isArray(set.keys) ? set.keys : [];
  for (const one of list as Partial<PublicKey>[]) {
    const { kty, crv, x, kid } = one;
    if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string' || typeof kid !== 'string') continue;
    keys.set(kid, createPublicKey({ key: { kty, crv, x }, format: 'jwk' }));
  }
  return keys;
}
