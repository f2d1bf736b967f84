// Access tokens of external issuers (RFC 9068). They are verified with the keys of a registered issuer, and the
// registration maps their claims to scopes. Unverified claims decide only which registration is used.

import type { JWTPayload } from 'jose';
import { orgOf } from '../../state/access/tenant.ts';
import { findIssuers, type Issuer, ORG_CLAIM, orgsNamedBy } from '../../store/identity/issuers.ts';
import type { Db } from '../../store/redis/connection.ts';
import { orgKeysOf } from '../../store/redis/keys.ts';
import type { Identity } from '../access/identity.ts';
import { ApiError } from '../http/problem.ts';
import type { JwksCache } from './jwks.ts';

/** Accepted signature algorithms: asymmetric only, so that a public key cannot be used as an HMAC secret. */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

/** Tolerated clock difference, s. */
const TOLERANCE_S = 5;
const MAX_LENGTH = 8 * 1024;
const MAX_AUDIENCES = 10;

/** Loads the library at the first token: most processes get none. */
const loadJose = () => import('jose');

export class Issuers {
  readonly #db: Db;
  readonly #jwks: JwksCache;

  constructor(db: Db, jwks: JwksCache) {
    this.#db = db;
    this.#jwks = jwks;
  }

  /** Whether a credential has the form of a signed JWT; credentials of BioLayer do not. */
  isJwt(text: string): boolean {
    return text.length <= MAX_LENGTH && /^ey[\w-]+\.[\w-]+\.[\w-]*$/.test(text);
  }

  /** The identity of a token; null when it is invalid or no org trusts its issuer. @throws ApiError 503 without keys */
  async identify(token: string): Promise<Identity | null> {
    const registration = await this.#registrationOf(token);
    const payload = registration === null ? null : await this.#verify(token, registration);
    if (registration === null || payload === null) return null;
    const { issuer_id, org_id, pools, version } = registration;
    // The subject is shown in histories: limit its length and characters.
    const subject = String(payload.sub)
      .replaceAll(/[^\x21-\x7e]/g, '?')
      .slice(0, 200);
    const expires_at = Number(payload.exp) * 1000;
    const scopes = scopesOf(payload, registration);
    return {
      principal: {
        kind: 'api_key',
        org_id,
        key_id: issuer_id,
        actor: `issuer:${issuer_id}:${subject}`,
        scopes,
        pools,
        expires_at,
        authority: { kind: 'issuer_token', issuer_id, version, expires_at, scopes },
      },
      expires_at,
      tags: [issuer_id],
      guards: [{ kind: 'version', key: orgKeysOf(this.#db.prefix, org_id).issuer(issuer_id), version }],
    };
  }

  /** The registration for the token; null when there is none or more than one. */
  async #registrationOf(token: string): Promise<Issuer | null> {
    const { decodeJwt } = await loadJose();
    let claims: JWTPayload;
    try {
      claims = decodeJwt(token);
    } catch {
      return null;
    }
    const { iss, aud, [ORG_CLAIM]: claimed } = claims;
    const audiences = [...new Set([aud ?? []].flat())].filter((one) => typeof one === 'string');
    if (typeof iss !== 'string' || audiences.length > MAX_AUDIENCES) return null;
    const found = await Promise.all(
      // The org claim decides; without it, each audience is looked up in the org that it names.
      claimed === undefined
        ? orgsNamed(audiences).map(([orgId, named]) => findIssuers(this.#db, orgId, iss, named))
        : typeof claimed === 'string' && orgsNamedBy(claimed)[0] === claimed
          ? [findIssuers(this.#db, claimed, iss, audiences)]
          : [],
    );
    const [registration, ...others] = found.flat();
    return others.length > 0 ? null : (registration ?? null);
  }

  async #verify(token: string, registration: Issuer, unknownKey = false): Promise<JWTPayload | null> {
    const keys = await this.#jwks.keysOf(registration.jwks_uri, unknownKey, orgOf(registration.org_id));
    if (keys === null)
      throw new ApiError('unavailable', "The keys of the token's issuer cannot be fetched now. Try again.", {
        headers: { 'Retry-After': '2' },
      });
    const { errors, jwtVerify } = await loadJose();
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: registration.algorithms,
        issuer: registration.issuer,
        audience: registration.audience,
        typ: registration.token_type,
        requiredClaims: ['exp', 'sub'],
        clockTolerance: TOLERANCE_S,
        currentDate: new Date(this.#db.clock.now()),
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey && !unknownKey)
        return this.#verify(token, registration, true);
      // Any other error: the token is not valid.
      return null;
    }
  }
}

/** The orgs that the audiences name, each with its audiences; at most as many orgs as a token may have audiences. */
function orgsNamed(audiences: readonly string[]): [orgId: string, audiences: string[]][] {
  const named = new Map<string, string[]>();
  for (const audience of audiences)
    for (const orgId of orgsNamedBy(audience)) named.set(orgId, [...(named.get(orgId) ?? []), audience]);
  return [...named].slice(0, MAX_AUDIENCES);
}

function scopesOf(payload: JWTPayload, { scope_claim, scope_map }: Issuer): string[] {
  const claim = Object.hasOwn(payload, scope_claim) ? payload[scope_claim] : undefined;
  const values = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
  const known = values.filter((one) => typeof one === 'string' && Object.hasOwn(scope_map, one));
  return [...new Set(known.flatMap((one) => scope_map[one] ?? []))];
}
