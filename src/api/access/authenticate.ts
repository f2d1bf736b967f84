// Authentication. A credential is looked up by its hash and cached for at most a second, counted from before the look-up,
// so that a busy client does not cost a look-up for each request. A revoked credential is rejected within that second in
// every process, and at once in the process that revoked it.

import { hash, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import { LRUCache } from 'lru-cache';
import { modeOf, orgOf } from '../../state/access/tenant.ts';
import { recordKeyUse } from '../../store/identity/api-keys.ts';
import { hashOf } from '../../store/identity/credential-text.ts';
import { isSuspended, notSuspended } from '../../store/identity/suspension.ts';
import type { Guard } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { recordWorkerSeen } from '../../store/workers/last-seen.ts';
import { ApiError, orgSuspended } from '../http/problem.ts';
import type { SessionKind } from '../http/response.ts';
import type { Admission } from './admission.ts';
import { type Identity, identify } from './identity.ts';
import { type Access, type Principal, scopesOf } from './principal.ts';
import { isSessionText, type SessionCookies } from './session-cookies.ts';

const CACHE_MS = 1000;
const MAX_CACHED = 10_000;
/** Maximum age of a cached identity when a long request checks its authorization again, ms. */
const RECHECK_AGE_MS = 100;
/** How often a process updates `last_used_at` of a key, ms. */
const USE_INTERVAL_MS = 5 * 60 * 1000;
/** How often a process updates `last_seen_at` of a worker, ms. */
const SEEN_INTERVAL_MS = 60 * 1000;

/** Access tokens that are not ours, but of outside issuers. */
interface TokenIssuers {
  /** Whether the text has the form of such a token. */
  isJwt(text: string): boolean;
  /** The token's identity; null when no org trusts it. */
  identify(token: string): Promise<Identity | null>;
}

export class Authenticator {
  readonly #db: Db;
  readonly #operatorHash: Buffer | null;
  readonly #admission: Admission;
  readonly #issuers: TokenIssuers;
  readonly #cookies: SessionCookies;
  readonly #resourceMetadata: (path: string) => string | null;
  /**
   * Cached identities by credential hash. `loadedAt` is when the look-up started (monotonic clock). An outdated entry is
   * kept, because it shows that the credential was valid recently.
   */
  readonly #known = new LRUCache<string, { loadedAt: number; found: Identity }>({ max: MAX_CACHED });
  /** The identity in which each principal was found. */
  readonly #identities = new WeakMap<Principal, Identity>();
  /** Long requests, which are notified of a revocation that may concern them. */
  readonly #revocationListeners = new Set<{ principal: Principal; onRevocation: () => void }>();
  #revocations = 0;
  /** Workers whose `last_seen_at` has been updated recently. */
  readonly #recentlySeen = new LRUCache<string, true>({ max: MAX_CACHED, ttl: SEEN_INTERVAL_MS });
  /** Ids of keys whose `last_used_at` has been updated recently. */
  readonly #recentlyUsed = new LRUCache<string, true>({ max: MAX_CACHED, ttl: USE_INTERVAL_MS });

  /** @param resourceMetadata URL of the protected resource metadata (RFC 9728) for a path; null without OAuth. */
  constructor(
    db: Db,
    operatorToken: string | undefined,
    admission: Admission,
    issuers: TokenIssuers,
    cookies: SessionCookies,
    resourceMetadata: (path: string) => string | null,
  ) {
    this.#db = db;
    this.#operatorHash = operatorToken === undefined ? null : sha256(operatorToken);
    this.#admission = admission;
    this.#issuers = issuers;
    this.#cookies = cookies;
    this.#resourceMetadata = resourceMetadata;
  }

  /** Number of revocations and rule changes so far. A look-up during which it changes may have read an outdated state. */
  get revocations(): number {
    return this.#revocations;
  }

  /** Drops cached credentials by name: their hash or that of their grant, the id of a client, member or issuer, or the key of the sessions of a worker or member. */
  dropCached(tag: string): void {
    for (const [hash, { found }] of this.#known) if (found.tags.includes(tag)) this.#known.delete(hash);
    this.#notify((principal) => this.#identities.get(principal)?.tags.includes(tag) === true);
  }

  /** Makes long requests of an org check their authorization again, after a change of its rules. */
  recheckOrg(orgId: string): void {
    this.#notify((principal) => 'org_id' in principal && orgOf(principal.org_id) === orgId);
  }

  /** Calls `onRevocation` whenever a credential of the principal may have been revoked. @returns a function that stops this */
  onRevocation(principal: Principal, onRevocation: () => void): () => void {
    const follower = { principal, onRevocation };
    this.#revocationListeners.add(follower);
    return () => this.#revocationListeners.delete(follower);
  }

  #notify(isAffected: (principal: Principal) => boolean): void {
    this.#revocations += 1;
    for (const { principal, onRevocation } of this.#revocationListeners)
      if (isAffected(principal)) onRevocation();
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
    const header = ctx.get('Authorization');
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
    const principal = await this.#identify(ctx, presented);
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
    const found = text === undefined ? null : await this.#lookUp(text, hashOf(text), RECHECK_AGE_MS);
    if (found === null || permissionsOf(found.principal) !== permissionsOf(principalAtAdmission))
      return false;
    return this.#admission.isAllowed(ctx, found.principal, RECHECK_AGE_MS);
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
   * @throws ApiError 401, 403 `ip_not_allowed` or `org_suspended`; 409 if the permissions or the expiry of the credential have changed
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

  /** Guards that hold while the credential is unchanged since the request was admitted and its org is not suspended. No look-up. */
  guardsAtAdmission(principalAtAdmission: Principal): readonly Guard[] {
    return this.#identities.get(principalAtAdmission)?.guards ?? [];
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
    const found = await this.#load(text, hashOf(text));
    if (found === null || (found.expires_at !== null && found.expires_at <= this.#db.clock.now()))
      throw this.#unauthorized(ctx, header);
    return found;
  }

  /** The credential of a request: that in its Authorization header or, without one, the session in its cookie. */
  #presented(ctx: Context, kind: SessionKind): Presented {
    const header = ctx.get('Authorization');
    if (header === '') {
      const text = this.#cookies.read(ctx, kind);
      return { text, header, isCookie: text !== undefined };
    }
    const text = bearerOf(header);
    return { text: text === undefined || isSessionText(text) ? undefined : text, header, isCookie: false };
  }

  async #identify(ctx: Context, { text, header }: Presented): Promise<Identity['principal']> {
    if (text !== undefined) {
      const credentialHash = hashOf(text);
      // Uncached credentials count toward the address limit before the look-up, and the count is undone if valid, so
      // parallel guessing is limited too.
      const uncount = this.#known.has(credentialHash) ? null : this.#admission.reserveAnonymous(ctx);
      const found = await this.#lookUp(text, credentialHash);
      if (found !== null) {
        uncount?.();
        return found.principal;
      }
    }
    this.#admission.countAnonymous(ctx);
    throw this.#unauthorized(ctx, header);
  }

  /** The identity of a credential, from the cache or looked up. @param age maximum age of a cached one, ms. */
  async #lookUp(text: string, hash: string, age = CACHE_MS): Promise<Identity | null> {
    const known = this.#known.get(hash);
    const isFresh = known !== undefined && performance.now() - known.loadedAt < age;
    const found = isFresh ? known.found : await this.#load(text, hash);
    if (found === null) this.#known.delete(hash);
    const now = this.#db.clock.now();
    if (found === null || (found.expires_at !== null && found.expires_at <= now)) return null;
    if (!isFresh) await this.#updateLastUsed(found.principal, now);
    return found;
  }

  /** Updates `last_used_at` of a key or `last_seen_at` of a worker from time to time. A failure does not affect the request. */
  async #updateLastUsed(principal: Principal, now: number): Promise<void> {
    if (principal.kind === 'worker') {
      const name = `${principal.org_id} ${principal.worker_id} ${principal.incarnation}`;
      if (this.#recentlySeen.has(name)) return;
      this.#recentlySeen.set(name, true);
      await recordWorkerSeen(this.#db, principal, now).catch(() => undefined);
      return;
    }
    if (principal.kind !== 'api_key' || !principal.actor.startsWith('api_key:')) return;
    if (this.#recentlyUsed.has(principal.key_id)) return;
    this.#recentlyUsed.set(principal.key_id, true);
    await recordKeyUse(this.#db, principal, now).catch(() => undefined);
  }

  async #load(text: string, hash: string): Promise<Identity | null> {
    const [loadedAt, revocations] = [performance.now(), this.#revocations];
    const identity = this.#issuers.isJwt(text)
      ? await this.#issuers.identify(text)
      : await identify(this.#db, text);
    if (identity === null) return null;
    const guards = [...identity.guards, notSuspended(this.#db, identity.principal.org_id)];
    const found = { ...identity, guards };
    this.#identities.set(found.principal, found);
    if (this.#revocations === revocations) this.#known.set(hash, { loadedAt, found });
    return found;
  }

  #unauthorized(ctx: Context, header: string): ApiError {
    const metadata = this.#resourceMetadata(ctx.path);
    const parameters = [
      ...(header === '' || metadata === null ? [] : ['error="invalid_token"']),
      ...(metadata === null ? [] : [`resource_metadata="${metadata}"`]),
    ];
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

/** The permissions of a caller, without the expiry, which the rotation of a key changes. */
function permissionsOf(principal: Principal): string {
  return JSON.stringify({ ...principal, expires_at: null });
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
