// Who calls. A credential is looked up by its hash and remembered for at most a second, so that a busy
// client costs no look-up a request and a revoked key is refused everywhere within that second, in the
// process that revoked it at once.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import { findCredential, parseCredential } from '../../store/credentials.ts';
import type { Db } from '../../store/redis.ts';
import type { ClientAddresses } from '../client-address.ts';
import { isAllowedFrom, type OrgRulesCache } from '../org-rules.ts';
import { ApiError } from '../problem.ts';
import type { Access, Principal } from '../route.ts';

const REMEMBERED = 1000;
const REMEMBERED_MOST = 10_000;

type Found = { principal: Principal; expires_at: number | null };

export class Authenticator {
  readonly #db: Db;
  readonly #operatorHash: Buffer | null;
  readonly #addresses: ClientAddresses;
  readonly #orgRules: OrgRulesCache;
  /** By the text of the credential. */
  readonly #known = new Map<string, { until: number; hash: string; found: Found }>();

  constructor(
    db: Db,
    operatorToken: string | undefined,
    addresses: ClientAddresses,
    orgRules: OrgRulesCache,
  ) {
    this.#db = db;
    this.#operatorHash = operatorToken === undefined ? null : sha256(operatorToken);
    this.#addresses = addresses;
    this.#orgRules = orgRules;
  }

  /** Forgets the credential with this hash. */
  forget(hash: string): void {
    for (const [text, known] of this.#known) if (known.hash === hash) this.#known.delete(text);
  }

  /** The caller, allowed what `access` asks for. @throws ApiError 401 or 403. */
  async admit(ctx: Context, access: Access): Promise<Principal> {
    if (access.kind === 'open') return { kind: 'nobody' };
    const header = ctx.get('Authorization');
    if (access.kind === 'operator') {
      if (this.isOperator(header)) return { kind: 'operator' };
      throw unauthorized(header, 'Bearer, Basic realm="operator"');
    }
    const principal = await this.#identify(header);
    await this.#obey(ctx, principal);
    if (access.kind === 'worker') {
      if (principal.kind === 'worker') return principal;
      throw new ApiError('insufficient_scope', 'This is for workers, with their own token.');
    }
    if (principal.kind !== 'api_key')
      throw new ApiError('insufficient_scope', `This needs an API key with the scope ${access.scope}.`);
    if (!principal.scopes.includes('*') && !principal.scopes.includes(access.scope))
      throw new ApiError('insufficient_scope', `The key lacks the scope ${access.scope}.`);
    return principal;
  }

  /** Holds the request to the rules of the caller's org. @throws ApiError 403 */
  async #obey(ctx: Context, principal: Principal): Promise<void> {
    if (!('org_id' in principal)) return;
    const rules = await this.#orgRules.of(principal.org_id);
    if (rules.networks !== null && !isAllowedFrom(rules.networks, this.#addresses.of(ctx.req)))
      throw new ApiError('ip_not_allowed', "This address is not on the org's ip_allowlist.");
  }

  /** Whether the header is the operator's: Bearer, or Basic with user `operator`. */
  isOperator(header: string): boolean {
    if (this.#operatorHash === null) return false;
    const [scheme = '', value = ''] = header.split(' ');
    let token = '';
    if (scheme.toLowerCase() === 'bearer') token = value;
    else if (scheme.toLowerCase() === 'basic') {
      const text = Buffer.from(value, 'base64').toString();
      if (text.startsWith('operator:')) token = text.slice('operator:'.length);
    }
    return timingSafeEqual(sha256(token), this.#operatorHash);
  }

  async #identify(header: string): Promise<Principal> {
    const [, text] = /^Bearer +(\S+)$/i.exec(header) ?? [];
    if (text === undefined) throw unauthorized(header);
    const now = this.#db.clock.now();
    const known = this.#known.get(text);
    const found = known !== undefined && known.until > now ? known.found : await this.#find(text, now);
    if (found === null || (found.expires_at !== null && found.expires_at <= now)) throw unauthorized(header);
    return found.principal;
  }

  async #find(text: string, now: number): Promise<Found | null> {
    const where = parseCredential(text);
    if (where === null) return null;
    const stored = await findCredential(this.#db, where);
    if (stored === null) return null;
    const found: Found =
      stored.kind === 'worker_token'
        ? {
            principal: { kind: 'worker', org_id: stored.org_id, worker_id: stored.worker_id },
            expires_at: null,
          }
        : {
            principal: {
              kind: 'api_key',
              org_id: stored.org_id,
              key_id: stored.key_id,
              scopes: stored.scopes,
              pools: stored.pools,
            },
            expires_at: stored.expires_at,
          };
    if (this.#known.size >= REMEMBERED_MOST) this.#known.clear();
    this.#known.set(text, { until: now + REMEMBERED, hash: where.hash, found });
    return found;
  }
}

function unauthorized(header: string, challenge = 'Bearer'): ApiError {
  const detail =
    header === '' ? 'Send a credential as "Authorization: Bearer …".' : 'The credential is not valid.';
  return new ApiError('invalid_credential', detail, { headers: { 'WWW-Authenticate': challenge } });
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
