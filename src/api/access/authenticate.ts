// Authentication: finds the caller of a request by its credential (`identity.ts`) and checks that the caller may use the
// route. A revoked credential is rejected within a second in every process (`identity-cache.ts`), and at once in the process
// that revoked it.

import { hash, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import { modeOf } from '../../state/access/tenant.ts';
import { hashOf } from '../../store/identity/credential-text.ts';
import { isSuspended } from '../../store/identity/suspension.ts';
import type { Guard } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { ApiError, orgSuspended } from '../http/problem.ts';
import type { SessionKind } from '../http/response.ts';
import type { Admission } from './admission.ts';
import type { Identity } from './identity.ts';
import { IdentityCache, isExpired, type TokenIssuers } from './identity-cache.ts';
import { LastUsed } from './last-used.ts';
import { PeriodicChecks } from './periodic-checks.ts';
import { type Access, type Principal, permissionsOf, scopesOf } from './principal.ts';
import { isSessionText, type SessionCookies } from './session-cookies.ts';

/** Maximum age of a cached identity when a long request checks its authorization again, ms. */
const RECHECK_AGE_MS = 100;
export class Authenticator {
  readonly #db: Db;
  readonly #operatorHash: Buffer | null;
  readonly #admission: Admission;
  readonly #identities: IdentityCache;
  readonly #lastUsed: LastUsed;
  readonly #cookies: SessionCookies;
  readonly #challengeParameters: (path: string) => readonly string[];
  /** Of long requests. */
  readonly checks = new PeriodicChecks();

  /** @param challengeParameters parameters of the challenge in a 401, by path; none without OAuth. */
  constructor(
    db: Db,
    operatorToken: string | undefined,
    admission: Admission,
    issuers: TokenIssuers,
    cookies: SessionCookies,
    challengeParameters: (path: string) => readonly string[],
  ) {
    this.#db = db;
    this.#operatorHash = operatorToken === undefined ? null : sha256(operatorToken);
    this.#admission = admission;
    this.#identities = new IdentityCache(db, issuers);
    this.#lastUsed = new LastUsed(db);
    this.#cookies = cookies;
    this.#challengeParameters = challengeParameters;
  }

  /** Number of revocations and rule changes so far. A look-up during which it changes may have read an outdated state. */
  get revocations(): number {
    return this.#identities.revocations;
  }

  /**
   * Drops cached credentials by name: their hash or that of their grant, the id of a client, member or issuer, or the key of
   * the sessions of a worker or member.
   */
  dropCached(tag: string): void {
    this.#identities.drop(tag);
  }

  /** Makes long requests of an org check their authorization again, after a change of its rules. */
  recheckOrg(orgId: string): void {
    this.#identities.recheckOrg(orgId);
  }

  /** Calls `onRevocation` whenever a credential of the principal may have been revoked. @returns a function that stops this */
  onRevocation(principal: Principal, onRevocation: () => void): () => void {
    return this.#identities.onRevocation(principal, onRevocation);
  }

  /** Authenticates the caller, counts the request and checks that `access` is permitted. @throws ApiError 401, 403 or 429 */
  async admit(ctx: Context, access: Access): Promise<Principal> {
    if (access.kind === 'open') {
      this.#admission.countAnonymous(ctx);
      return { kind: 'anonymous' };
    }
    if (access.kind === 'sign_in') {
      this.#admission.countAnonymous(ctx);
      this.#cookies.requireConfidential(ctx);
      this.#cookies.requireOwnPage(ctx);
      return { kind: 'anonymous' };
    }
    const { authorization: header = '' } = ctx.req.headers;
    if (access.kind === 'operator') {
      if (this.isOperator(header)) return { kind: 'operator' };
      this.#admission.countAnonymous(ctx);
      throw unauthorized(header, 'Bearer, Basic realm="operator"');
    }
    const presented = this.#presented(ctx, sessionKindOf(access));
    if (presented.isCookie) this.#cookies.requireOwnPage(ctx);
    else if (access.kind === 'session') {
      this.#admission.countAnonymous(ctx);
      throw this.#unauthorized(ctx, header);
    }
    const principal = this.#cached(presented) ?? (await this.#identify(ctx, presented));
    await this.#admission.admit(ctx, principal);
    if (access.kind === 'session') return principal;
    if (access.kind === 'worker') {
      if (principal.kind === 'worker') return principal;
      throw new ApiError('insufficient_scope', 'This requires a worker token.');
    }
    const wanted = scopesOf(access);
    if (principal.kind !== 'api_key')
      throw new ApiError(
        'insufficient_scope',
        `This requires an API key with the scope ${wanted.join(' or ')}.`,
      );
    if (!principal.scopes.includes('*') && !wanted.some((one) => principal.scopes.includes(one)))
      throw new ApiError('insufficient_scope', `The key lacks the scope ${wanted.join(' or ')}.`);
    if (access.liveOnly && modeOf(principal.org_id) === 'test')
      throw new ApiError(
        'live_key_required',
        'This changes data outside the sandbox and requires a live key.',
      );
    return principal;
  }

  /** Whether the Authorization header holds the operator's token: as Bearer, or as Basic with the user `operator`. */
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

  /**
   * Whether the caller of a long request would still be admitted: the credential is valid with the same permissions, and
   * the address is allowed. Does not count as a request.
   * @throws ApiError, or an error of Redis, if this cannot be determined
   */
  async stillAdmits(ctx: Context, principalAtAdmission: Principal): Promise<boolean> {
    if (principalAtAdmission.kind === 'anonymous') return true;
    if (principalAtAdmission.kind === 'operator') return this.isOperator(ctx.get('Authorization'));
    const { text } = this.#presented(ctx, sessionKindFor(principalAtAdmission));
    const found = text === undefined ? null : await this.#lookUp(text, RECHECK_AGE_MS);
    if (found === null || permissionsOf(found.principal) !== permissionsOf(principalAtAdmission))
      return false;
    return this.#admission.isAllowed(ctx, found.principal, RECHECK_AGE_MS);
  }

  /** A digest of all that `stillAdmits` depends on; null where nothing of it can change. */
  checkKeyOf(ctx: Context, principal: Principal): string | null {
    if (!('org_id' in principal)) return null;
    const { text } = this.#presented(ctx, sessionKindFor(principal));
    const parts = [text, permissionsOf(principal), this.#admission.addressOf(ctx)];
    return hash('sha256', JSON.stringify(parts), 'base64');
  }

  /**
   * Requires that the caller of a long request is still admitted.
   * @throws ApiError 401, 403 or 429; 409 if the permissions of the credential have changed
   */
  async reauthorize(ctx: Context, access: Access, principalAtAdmission: Principal): Promise<void> {
    if (await this.stillAdmits(ctx, principalAtAdmission)) return;
    await this.admit(ctx, access);
    throw permissionsChangedError();
  }

  /**
   * Looks up the credential and the org's rules again. Returns guards that hold until they change, for a commit that must
   * fail if the credential is revoked or restricted first.
   * @throws ApiError 401, 403 `ip_not_allowed` or `org_suspended`; 409 if the permissions or the expiry of the credential
   * have changed
   */
  async credentialAndRuleGuards(ctx: Context, principalAtAdmission: Principal): Promise<Guard[]> {
    if (!('org_id' in principalAtAdmission)) return [];
    const found = await this.#reload(ctx, principalAtAdmission);
    if (JSON.stringify(found.principal) !== JSON.stringify(principalAtAdmission))
      throw permissionsChangedError();
    return [...found.guards, await this.#admission.orgGuard(ctx, principalAtAdmission)];
  }

  /**
   * Loads the rules of the org that a browser signs in to. Returns a guard that holds until they change.
   * @throws ApiError 403 `ip_not_allowed` or `org_suspended`
   */
  orgGuard(ctx: Context, orgId: string): Promise<Guard> {
    return this.#admission.orgGuard(ctx, { org_id: orgId });
  }

  /**
   * Guards that hold while the credential is unchanged since the request was admitted and its org is not suspended. No
   * look-up.
   */
  guardsAtAdmission(principalAtAdmission: Principal): readonly Guard[] {
    return this.#identities.identityOf(principalAtAdmission)?.guards ?? [];
  }

  /**
   * `guardsAtAdmission` after another look-up, for a commit that failed with those.
   * @throws ApiError 401, 403 `org_suspended`; 409 if the permissions of the credential have changed
   */
  async reloadedGuards(ctx: Context, principalAtAdmission: Principal): Promise<readonly Guard[]> {
    if (!('org_id' in principalAtAdmission)) return [];
    const found = await this.#reload(ctx, principalAtAdmission);
    if (permissionsOf(found.principal) !== permissionsOf(principalAtAdmission))
      throw permissionsChangedError();
    if (await isSuspended(this.#db, found.principal.org_id)) throw orgSuspended();
    return found.guards;
  }

  /** Looks up the credential again. @throws ApiError 401 */
  async #reload(ctx: Context, principalAtAdmission: Principal): Promise<Identity> {
    const { text = '', header } = this.#presented(ctx, sessionKindFor(principalAtAdmission));
    const found = await this.#identities.load(text);
    if (found === null || isExpired(found, this.#db.clock.now())) throw this.#unauthorized(ctx, header);
    return found;
  }

  /** The credential of a request: that in its Authorization header or, without one, the session in its cookie. */
  #presented(ctx: Context, kind: SessionKind): Presented {
    const { authorization: header = '' } = ctx.req.headers;
    if (header === '') {
      const text = this.#cookies.read(ctx, kind);
      return { text, header, isCookie: text !== undefined };
    }
    const text = bearerOf(header);
    return { text: text === undefined || isSessionText(text) ? undefined : text, header, isCookie: false };
  }

  /** The caller with a credential that was looked up within the last second and has not expired; null for others. */
  #cached({ text }: Presented): Identity['principal'] | null {
    const fresh = text === undefined ? null : this.#identities.fresh(hashOf(text));
    return fresh === null || isExpired(fresh, this.#db.clock.now()) ? null : fresh.principal;
  }

  async #identify(ctx: Context, { text, header }: Presented): Promise<Identity['principal']> {
    if (text !== undefined) {
      // Uncached credentials count toward the address limit before the look-up, and the count is undone if valid, so
      // parallel guessing is limited too.
      const uncount = this.#identities.has(hashOf(text)) ? null : this.#admission.reserveAnonymous(ctx);
      const found = await this.#lookUp(text);
      if (found !== null) {
        uncount?.();
        return found.principal;
      }
    }
    this.#admission.countAnonymous(ctx);
    throw this.#unauthorized(ctx, header);
  }

  /** The identity of a credential, from the cache or looked up. @param age maximum age of a cached one, ms. */
  async #lookUp(text: string, age?: number): Promise<Identity | null> {
    const known = await this.#identities.find(text, age);
    if (known === null) return null;
    if (known.isLoaded) await this.#lastUsed.update(known.found.principal, this.#db.clock.now());
    return known.found;
  }

  #unauthorized(ctx: Context, header: string): ApiError {
    const given = this.#challengeParameters(ctx.path);
    const parameters = [...(header === '' || given.length === 0 ? [] : ['error="invalid_token"']), ...given];
    return unauthorized(header, ['Bearer', parameters.join(', ')].join(' ').trim());
  }
}

/** What a request presents as its credential; `text` is undefined when there is none of a known form. */
interface Presented {
  text: string | undefined;
  /** The Authorization header. */
  header: string;
  isCookie: boolean;
}

/** Whose cookie a route reads. */
function sessionKindOf(access: Access): SessionKind {
  if (access.kind === 'session') return access.of;
  return access.kind === 'worker' ? 'worker' : 'console';
}

/** Whose cookie an admitted caller may have sent. */
function sessionKindFor(principal: Principal): SessionKind {
  return principal.kind === 'worker' ? 'worker' : 'console';
}

function permissionsChangedError(): ApiError {
  return new ApiError(
    'conflict',
    'The permissions of this credential have changed during the request. Try again.',
  );
}

function bearerOf(header: string): string | undefined {
  return /^Bearer +(\S+)$/i.exec(header)?.[1];
}

function unauthorized(header: string, challenge = 'Bearer'): ApiError {
  const detail =
    header === '' ? 'Send a credential as "Authorization: Bearer …".' : 'The credential is not valid.';
  return new ApiError('invalid_credential', detail, { headers: { 'WWW-Authenticate': challenge } });
}

function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}
