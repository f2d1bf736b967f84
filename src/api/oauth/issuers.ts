// Access tokens of outside issuers (RFC 9068): verified with the keys of the issuer that an org has registered,
// and worth what that registration says its claims are worth. What the token itself says decides only which
// registration is asked.

import { decodeJwt, errors, type JWTPayload, jwtVerify } from 'jose';
import { orgOf } from '../../state/access/tenant.ts';
import { findIssuers, type Issuer, ORG_CLAIM, orgsNamedBy } from '../../store/identity/issuers.ts';
import type { Db } from '../../store/redis/connection.ts';
import { orgKeysOf } from '../../store/redis/keys.ts';
import type { Identity } from '../access/identity.ts';
import { ApiError } from '../http/problem.ts';
import type { JwksCache } from './jwks.ts';

/** Signatures that may be asked for: by key pairs alone, so that nothing public can be taken for a secret. */
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

/** Difference between clocks that is put up with, s. */
const TOLERANCE = 5;
const LENGTH_LIMIT = 8 * 1024;
const MOST_AUDIENCES = 10;

/** Whether a credential has the form of a signed JWT; none of ours has. */
export function isJwt(text: string): boolean {
  return text.length <= LENGTH_LIMIT && /^ey[\w-]+\.[\w-]+\.[\w-]*$/.test(text);
}

export class Issuers {
  readonly #db: Db;
  readonly #jwks: JwksCache;

  constructor(db: Db, jwks: JwksCache) {
    this.#db = db;
    this.#jwks = jwks;
  }

  /** Who the token belongs to; null when no org trusts it. */
  async identify(token: string): Promise<Identity | null> {
    const registration = await this.#registrationOf(token);
    const payload = registration === null ? null : await this.#verify(token, registration);
    if (registration === null || payload === null) return null;
    const { issuer_id, org_id, pools, version } = registration;
    // Shown in histories: bounded, and on one line.
    const subject = String(payload.sub)
      .replaceAll(/[^\x21-\x7e]/g, '?')
      .slice(0, 200);
    const expires_at = Number(payload.exp) * 1000;
    return {
      principal: {
        kind: 'api_key',
        org_id,
        key_id: issuer_id,
        actor: `issuer:${issuer_id}:${subject}`,
        scopes: scopesOf(payload, registration),
        pools,
        expires_at,
      },
      expires_at,
      names: [issuer_id],
      guards: [{ kind: 'version', key: orgKeysOf(this.#db.prefix, org_id).issuer(issuer_id), version }],
    };
  }

  /** The one registration that the token is meant for; null when there is none, or several. */
  async #registrationOf(token: string): Promise<Issuer | null> {
    let claims: JWTPayload;
    try {
      claims = decodeJwt(token);
    } catch {
      return null;
    }
    const { iss, aud, [ORG_CLAIM]: claimed } = claims;
    const audiences = [...new Set([aud ?? []].flat())].filter((one) => typeof one === 'string');
    if (typeof iss !== 'string' || audiences.length > MOST_AUDIENCES) return null;
    const found = await Promise.all(
      // The org a token claims decides; without the claim each audience is looked up in the org it names.
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
    try {
      const { payload } = await jwtVerify(token, keys, {
        algorithms: registration.algorithms,
        issuer: registration.issuer,
        audience: registration.audience,
        typ: registration.token_type,
        requiredClaims: ['exp', 'sub'],
        clockTolerance: TOLERANCE,
        currentDate: new Date(this.#db.clock.now()),
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey && !unknownKey)
        return this.#verify(token, registration, true);
      // Whatever else is wrong with token or keys: it is not proven.
      return null;
    }
  }
}

/** Orgs that the audiences name, each with the audiences that name it; at most as many as a token may have. */
function orgsNamed(audiences: readonly string[]): [orgId: string, audiences: string[]][] {
  const named = new Map<string, string[]>();
  for (const audience of audiences)
    for (const orgId of orgsNamedBy(audience)) named.set(orgId, [...(named.get(orgId) ?? []), audience]);
  return [...named].slice(0, MOST_AUDIENCES);
}

function scopesOf(payload: JWTPayload, { scope_claim, scope_map }: Issuer): string[] {
  const claim = Object.hasOwn(payload, scope_claim) ? payload[scope_claim] : undefined;
  const values = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
  const known = values.filter((one) => typeof one === 'string' && Object.hasOwn(scope_map, one));
  return [...new Set(known.flatMap((one) => scope_map[one] ?? []))];
}
