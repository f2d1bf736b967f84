// What a request must pass beside having a good credential: its org's allowlist of addresses, and the limits
// on how often a credential, an org, or an address without a credential may call.

import type { Context } from 'koa';
import type { StorageQuotas } from '../../state/access/storage-quotas.ts';
import type { Quota } from '../../state/access/token-bucket.ts';
import type { Guard } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { sharedKeysOf } from '../../store/redis/keys.ts';
import { ApiError } from '../http/problem.ts';
import { AnonymousRateLimit } from './anonymous-rate-limit.ts';
import type { ClientAddresses } from './client-address.ts';
import { isAllowedFrom, type OrgRules, OrgRulesCache } from './org-rules.ts';
import type { Principal } from './principal.ts';
import { type Quotas, RateLimits } from './rate-limits.ts';

/** Limits of those for whom no others are set. */
export interface DefaultQuotas extends Quotas {
  /** Of one address' requests without a good credential, in one process; of IPv6, of a /64. */
  address: Quota | null;
}

function notAllowed(): ApiError {
  return new ApiError('ip_not_allowed', "This address is not on the org's ip_allowlist.");
}

export class Admission {
  readonly #db: Db;
  readonly #addresses: ClientAddresses;
  readonly #orgRules: OrgRulesCache;
  readonly #limits: RateLimits;
  readonly #anonymousRateLimit: AnonymousRateLimit;

  /** @param storage how much orgs may keep for which nobody has said otherwise. */
  constructor(db: Db, addresses: ClientAddresses, defaults: DefaultQuotas, storage: StorageQuotas) {
    this.#db = db;
    this.#addresses = addresses;
    this.#orgRules = new OrgRulesCache(db, { quotas: defaults, storage });
    this.#limits = new RateLimits(db);
    this.#anonymousRateLimit = new AnonymousRateLimit(defaults.address, addresses);
  }

  /** Forgets what is remembered of an org. */
  forgetOrg(orgId: string): void {
    this.#orgRules.forget(orgId);
  }

  /** How much the tenant's org may keep, by its rules as they were at most a second ago. */
  storageQuotas(tenantId: string): StorageQuotas | Promise<StorageQuotas> {
    const rules = this.#orgRules.of(tenantId);
    return rules instanceof Promise ? rules.then((known) => known.storage) : rules.storage;
  }

  /** Lets a caller with a good credential pass. @throws ApiError 403 `ip_not_allowed`, 429 `rate_limited` */
  async admit(ctx: Context, caller: Extract<Principal, { org_id: string }>): Promise<void> {
    const { quotas, networks } = await this.#orgRules.of(caller.org_id);
    if (!this.#isFrom(ctx, networks)) throw notAllowed();
    await this.#limits.count(ctx, caller, quotas);
  }

  /** Whether the org's allowlist has the caller's address. @param age how old the list may be, ms; a second unless given */
  async isAllowed(ctx: Context, caller: { org_id: string }, age?: number): Promise<boolean> {
    const { networks } = await this.#orgRules.of(caller.org_id, age);
    return this.#isFrom(ctx, networks);
  }

  /**
   * The org's rules as they are now, as what a commit rests on.
   * @throws ApiError 403 `ip_not_allowed`
   */
  async orgGuard(ctx: Context, caller: { org_id: string }): Promise<Guard> {
    const { networks, version } = await this.#orgRules.of(caller.org_id, 0);
    if (!this.#isFrom(ctx, networks)) throw notAllowed();
    return { kind: 'version', key: sharedKeysOf(this.#db.prefix, caller.org_id).org, version };
  }

  #isFrom(ctx: Context, networks: OrgRules['networks']): boolean {
    return networks === null || isAllowedFrom(networks, this.#addresses.of(ctx.req));
  }

  /**
   * Counts a request whose credential is about to be looked up. @throws ApiError 429
   * @returns takes that back, for a credential that turns out to be good.
   */
  reserveAnonymous(ctx: Context): () => void {
    return this.#anonymousRateLimit.reserve(ctx);
  }

  /** Counts a request of somebody unknown, once: a bad credential, or what is open to all. @throws ApiError 429 */
  countAnonymous(ctx: Context): void {
    this.#anonymousRateLimit.count(ctx);
  }
}
