// The identities of credentials, cached for at most a second, counted from before the look-up, so that a busy client does
// not cost a look-up for each request. A revocation in this process drops them at once and notifies long requests.

import { LRUCache } from 'lru-cache';
import { orgOf } from '../../state/access/tenant.ts';
import { atMost } from '../../state/cache-entries.ts';
import { hashOf } from '../../store/identity/credential-text.ts';
import { notSuspended } from '../../store/identity/suspension.ts';
import type { Db } from '../../store/redis/connection.ts';
import { type Identity, identify } from './identity.ts';
import type { Principal } from './principal.ts';

/** Maximum age of a cached identity, ms. */
const CACHE_MS = 1000;
const MAX_CACHED = 10_000;

/** Access tokens that are not ours, but of outside issuers. */
export interface TokenIssuers {
  /** Whether the text has the form of such a token. */
  isJwt(text: string): boolean;
  /** The token's identity; null when no org trusts it. */
  identify(token: string): Promise<Identity | null>;
}

export class IdentityCache {
  readonly #db: Db;
  readonly #issuers: TokenIssuers;
  /**
   * Identities by credential hash. `loadedAt` is when the look-up started (monotonic clock). An outdated entry is kept,
   * because it shows that the credential was valid recently.
   */
  readonly #known = new LRUCache<string, { loadedAt: number; found: Identity }>(atMost(MAX_CACHED));
  /** The identity in which each principal was found. */
  readonly #identities = new WeakMap<Principal, Identity>();
  /** Long requests, which are notified of a revocation that may concern them. */
  readonly #revocationListeners = new Set<{ principal: Principal; onRevocation: () => void }>();
  #revocations = 0;

  constructor(db: Db, issuers: TokenIssuers) {
    this.#db = db;
    this.#issuers = issuers;
  }

  /** Number of revocations and rule changes so far. A look-up during which it changes may have read an outdated state. */
  get revocations(): number {
    return this.#revocations;
  }

  /** The identity in which a principal was found. */
  identityOf(principal: Principal): Identity | undefined {
    return this.#identities.get(principal);
  }

  /** Whether the credential was valid recently. */
  has(hash: string): boolean {
    return this.#known.has(hash);
  }

  /** Drops identities by a tag; see `Identity.tags`. */
  drop(tag: string): void {
    for (const [hash, { found }] of this.#known) if (found.tags.includes(tag)) this.#known.delete(hash);
    this.#notify((principal) => this.#identities.get(principal)?.tags.includes(tag) === true);
  }

  /** Makes long requests of an org check their authorization again, after a change of its rules. */
  recheckOrg(orgId: string): void {
    this.#notify((principal) => 'org_id' in principal && orgOf(principal.org_id) === orgId);
  }

  /** Calls `onRevocation` whenever a credential of the principal may have been revoked. @returns a function that stops this */
  onRevocation(principal: Principal, onRevocation: () => void): () => void {
    const listener = { principal, onRevocation };
    this.#revocationListeners.add(listener);
    return () => this.#revocationListeners.delete(listener);
  }

  #notify(isAffected: (principal: Principal) => boolean): void {
    this.#revocations += 1;
    for (const { principal, onRevocation } of this.#revocationListeners)
      if (isAffected(principal)) onRevocation();
  }

  /**
   * The identity of a credential that has not expired, from the cache or looked up; null if there is none.
   * @param age maximum age of a cached one, ms. @returns `isLoaded`: whether it was looked up now.
   */
  async find(text: string, age = CACHE_MS): Promise<{ found: Identity; isLoaded: boolean } | null> {
    const hash = hashOf(text);
    const fresh = this.fresh(hash, age);
    const found = fresh ?? (await this.load(text));
    if (found === null) this.#known.delete(hash);
    if (found === null || isExpired(found, this.#db.clock.now())) return null;
    return { found, isLoaded: fresh === null };
  }

  /** The identity in the cache, which may have expired; null if there is none as young as `age` (ms). */
  fresh(hash: string, age = CACHE_MS): Identity | null {
    const known = this.#known.get(hash);
    return known !== undefined && performance.now() - known.loadedAt < age ? known.found : null;
  }

  /** Looks up the identity of a credential, which may have expired; null if there is none. */
  async load(text: string): Promise<Identity | null> {
    const [loadedAt, revocations] = [performance.now(), this.#revocations];
    const identity = this.#issuers.isJwt(text)
      ? await this.#issuers.identify(text)
      : await identify(this.#db, text);
    if (identity === null) return null;
    const guards = [...identity.guards, notSuspended(this.#db, identity.principal.org_id)];
    const found = { ...identity, guards };
    this.#identities.set(found.principal, found);
    if (this.#revocations === revocations) this.#known.set(hashOf(text), { loadedAt, found });
    return found;
  }
}

/** Whether the credential has expired. @param now ms. */
export function isExpired({ expires_at }: Identity, now: number): boolean {
  return expires_at !== null && expires_at <= now;
}
