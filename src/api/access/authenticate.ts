// Who calls. A credential is looked up by its hash and remembered for at most a second from before the look-up
// on, so that a busy client costs no look-up a request and a revoked key is refused everywhere within that
// second, in the process that revoked it at once.

import { hash, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import { modeOf, orgOf } from '../../state/access/tenant.ts';
import { noteKeyUse } from '../../store/identity/api-keys.ts';
import { hashOf } from '../../store/identity/credential-text.ts';
import type { Guard } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { ApiError } from '../http/problem.ts';
import { type Issuers, isJwt } from '../oauth/issuers.ts';
import type { Admission } from './admission.ts';
import { type Identity, identify } from './identity.ts';
import type { Access, Principal } from './principal.ts';

const REMEMBERED = 1000;
const REMEMBERED_MOST = 10_000;
/** What is asked in the middle of a long request is remembered for less, ms: who asks has waited before asking. */
const AGAIN = 100;
/** How often a process notes that a key is in use, ms: `last_used_at` is that coarse. */
const NOTED = 5 * 60 * 1000;

export class Authenticator {
  readonly #db: Db;
  readonly #operatorHash: Buffer | null;
  readonly #admission: Admission;
  readonly #issuers: Issuers;
  readonly #resourceMetadata: string | null;
  /** By hash. `until` is of the process's own clock, which never steps back. */
  readonly #known = new Map<string, { until: number; found: Identity }>();
  /** Names under which a principal is forgotten. */
  readonly #names = new WeakMap<Principal, readonly string[]>();
  /** Long requests that are told at once of a revocation that may concern them. */
  readonly #followers = new Set<{ principal: Principal; onRevocation: () => void }>();
  #revocations = 0;
  /** Key id → when its use was noted last, by the process's clock. */
  readonly #noted = new Map<string, number>();

  /** @param resourceMetadata where what is needed to get an access token is told (RFC 9728); null without OAuth. */
  constructor(
    db: Db,
    operatorToken: string | undefined,
    admission: Admission,
    issuers: Issuers,
    resourceMetadata: string | null,
  ) {
    this.#db = db;
    this.#operatorHash = operatorToken === undefined ? null : sha256(operatorToken);
    this.#admission = admission;
    this.#issuers = issuers;
    this.#resourceMetadata = resourceMetadata;
  }

  /** Revocations and narrowed rules so far: a look-up that one of them overtook may have found what is there no more. */
  get revocations(): number {
    return this.#revocations;
  }

  /** Forgets the credentials with this name: a hash of theirs or of their grant, or the id of a client, member or issuer. */
  forget(name: string): void {
    for (const [hash, { found }] of this.#known) if (found.names.includes(name)) this.#known.delete(hash);
    this.#tell((principal) => this.#names.get(principal)?.includes(name) === true);
  }

  /** Has the long requests of an org looked at again: its rules have changed. */
  recheckOrg(orgId: string): void {
    this.#tell((principal) => 'org_id' in principal && orgOf(principal.org_id) === orgId);
  }

  /** Calls `onRevocation` whenever something was revoked that the principal may act by. @returns what ends that. */
  onRevocation(principal: Principal, onRevocation: () => void): () => void {
    const follower = { principal, onRevocation };
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }

  #tell(isConcerned: (principal: Principal) => boolean): void {
    this.#revocations += 1;
    for (const { principal, onRevocation } of this.#followers) if (isConcerned(principal)) onRevocation();
  }

  /** The caller, allowed what `access` asks for. @throws ApiError 401, 403 or 429. */
  async admit(ctx: Context, access: Access): Promise<Principal> {
    if (access.kind === 'open') {
      this.#admission.countAnonymous(ctx);
      return { kind: 'anonymous' };
    }
    const header = ctx.get('Authorization');
    if (access.kind === 'operator') {
      if (this.isOperator(header)) return { kind: 'operator' };
      this.#admission.countAnonymous(ctx);
      throw unauthorized(header, 'Bearer, Basic realm="operator"');
    }
    const principal = await this.#identify(ctx, header);
    await this.#admission.admit(ctx, principal);
    if (access.kind === 'worker') {
      if (principal.kind === 'worker') return principal;
      throw new ApiError('insufficient_scope', 'This is for workers, with their own token.');
    }
    if (principal.kind !== 'api_key')
      throw new ApiError('insufficient_scope', `This needs an API key with the scope ${access.scope}.`);
    if (!principal.scopes.includes('*') && !principal.scopes.includes(access.scope))
      throw new ApiError('insufficient_scope', `The key lacks the scope ${access.scope}.`);
    if (access.liveOnly && modeOf(principal.org_id) === 'test')
      throw new ApiError('live_key_required', 'A test key changes only the sandbox, and this is not in it.');
    return principal;
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

  /**
   * Whether a caller whose request takes long would be admitted again at this moment: the same credential, good
   * for the same, from an address that is allowed. Counts as no request.
   * @throws ApiError or the client's error when it cannot be told.
   */
  async stillAdmits(ctx: Context, was: Principal): Promise<boolean> {
    if (was.kind === 'anonymous') return true;
    if (was.kind === 'operator') return this.isOperator(ctx.get('Authorization'));
    const text = bearerOf(ctx.get('Authorization'));
    const found = text === undefined ? null : await this.#look(text, hashOf(text), AGAIN);
    if (found === null || mayWhat(found.principal) !== mayWhat(was)) return false;
    return this.#admission.isAllowed(ctx, found.principal, AGAIN);
  }

  /**
   * Admits once more who was admitted a while ago.
   * @throws ApiError 401, 403 or 429; 409 when the credential may something else by now.
   */
  async reauthorize(ctx: Context, access: Access, was: Principal): Promise<void> {
    if (await this.stillAdmits(ctx, was)) return;
    await this.admit(ctx, access);
    throw hasChanged();
  }

  /**
   * What the caller acts by at this moment, looked up anew, as guards that hold until it changes: for a commit that
   * must not come after its credential has been revoked or narrowed.
   * @throws ApiError 401, 403 `ip_not_allowed`; 409 when the credential may something else, or for shorter, by now.
   */
  async credentialGuards(ctx: Context, was: Principal): Promise<Guard[]> {
    if (!('org_id' in was)) return [];
    const header = ctx.get('Authorization');
    const text = bearerOf(header) ?? '';
    const found = await this.#find(text, hashOf(text));
    if (found === null || (found.expires_at !== null && found.expires_at <= this.#db.clock.now()))
      throw this.#unauthorized(header);
    if (JSON.stringify(found.principal) !== JSON.stringify(was)) throw hasChanged();
    return [...found.guards, await this.#admission.orgGuard(ctx, was)];
  }

  async #identify(ctx: Context, header: string): Promise<Identity['principal']> {
    const text = bearerOf(header);
    if (text !== undefined) {
      const hash = hashOf(text);
      // One that was good a while ago does not pay for bad ones from the same address. Any other is counted before
      // it is looked up, so that a thousand guesses at once count as a thousand.
      const refund = this.#known.has(hash) ? null : this.#admission.reserveAnonymous(ctx);
      const found = await this.#look(text, hash);
      if (found !== null) {
        refund?.();
        return found.principal;
      }
    }
    this.#admission.countAnonymous(ctx);
    throw this.#unauthorized(header);
  }

  /** @param age how old what is remembered may be, ms. */
  async #look(text: string, hash: string, age = REMEMBERED): Promise<Identity | null> {
    const known = this.#known.get(hash);
    const isFresh = known !== undefined && known.until > performance.now() + REMEMBERED - age;
    const found = isFresh ? known.found : await this.#find(text, hash);
    if (found === null) this.#known.delete(hash);
    const now = this.#db.clock.now();
    if (found === null || (found.expires_at !== null && found.expires_at <= now)) return null;
    if (!isFresh) await this.#note(found.principal, now);
    return found;
  }

  /** Notes that a key is used, now and then. That this fails is no reason to refuse anything. */
  async #note(principal: Principal, now: number): Promise<void> {
    if (principal.kind !== 'api_key' || !principal.actor.startsWith('api_key:')) return;
    const at = performance.now();
    if (at - (this.#noted.get(principal.key_id) ?? -NOTED) < NOTED) return;
    if (this.#noted.size >= REMEMBERED_MOST) this.#noted.clear();
    this.#noted.set(principal.key_id, at);
    await noteKeyUse(this.#db, principal, now).catch(() => undefined);
  }

  async #find(text: string, hash: string): Promise<Identity | null> {
    const [begun, revocations] = [performance.now(), this.#revocations];
    const found = isJwt(text) ? await this.#issuers.identify(text) : await identify(this.#db, text);
    if (found === null) return null;
    if (this.#known.size >= REMEMBERED_MOST) this.#known.clear();
    this.#names.set(found.principal, found.names);
    if (this.#revocations === revocations) this.#known.set(hash, { until: begun + REMEMBERED, found });
    return found;
  }

  #unauthorized(header: string): ApiError {
    const parameters = [
      ...(header === '' || this.#resourceMetadata === null ? [] : ['error="invalid_token"']),
      ...(this.#resourceMetadata === null ? [] : [`resource_metadata="${this.#resourceMetadata}"`]),
    ];
    return unauthorized(header, ['Bearer', parameters.join(', ')].join(' ').trim());
  }
}

/** What a caller may do; not for how long, which a rotation of their key changes. */
function mayWhat(principal: Principal): string {
  return JSON.stringify({ ...principal, expires_at: null });
}

function hasChanged(): ApiError {
  return new ApiError('conflict', 'What this credential may do has changed meanwhile. Try again.');
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
