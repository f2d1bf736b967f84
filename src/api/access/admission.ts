// The checks of a request besides its credential: the org's IP allowlist and suspension, and the rate limits of credentials,
// orgs and, for unauthenticated requests, addresses.

import type { Context } from 'koa';
import type { StorageQuotas } from '../../state/access/storage-quotas.ts';
import { modeOf } from '../../state/access/tenant.ts';
import type { Quota } from '../../state/access/token-bucket.ts';
import type { Guard } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { sharedKeysOf } from '../../store/redis/keys.ts';
import { ApiError, orgSuspended } from '../http/problem.ts';
import { AnonymousRateLimit } from './anonymous-rate-limit.ts';
import type { ClientAddresses } from './client-address.ts';
import { isAllowedFrom, type OrgRules, OrgRulesCache } from './org-rules.ts';
import type { Principal } from './principal.ts';
import { type Quotas, RateLimits } from './rate-limits.ts';

/** Rate limits of orgs and keys that have none of their own. */
export interface DefaultQuotas extends Quotas {
  /** Limit of unauthenticated requests for one address (of IPv6, its /64) in one process; null for none. */
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

  /** @param storage storage quotas of orgs that have none of their own. */
  constructor(db: Db, addresses: ClientAddresses, defaults: DefaultQuotas, storage: StorageQuotas) {
    this.#db = db;
    this.#addresses = addresses;
    this.#orgRules = new OrgRulesCache(db, { quotas: defaults, storage });
    this.#limits = new RateLimits(db);
    this.#anonymousRateLimit = new AnonymousRateLimit(defaults.address, addresses);
  }

  /** Drops the cached rules of an org. */
  forgetOrg(orgId: string): void {
    this.#orgRules.forget(orgId);
  }

  /** Storage quotas of the tenant's org, at most a second old. */
  storageQuotas(tenantId: string): StorageQuotas | Promise<StorageQuotas> {
    const rules = this.#orgRules.get(tenantId);
    return rules instanceof Promise ? rules.then((known) => known.storage) : rules.storage;
  }

  /** Whether the tenant has task types, or had some; at most a second old. */
  hasTaskTypes(tenantId: string): boolean | Promise<boolean> {
    const rules = this.#orgRules.get(tenantId);
    const mode = modeOf(tenantId);
    return rules instanceof Promise ? rules.then((known) => known.taskTypes[mode]) : rules.taskTypes[mode];
  }

  /**
   * Checks the org's rules and counts the request of an authenticated caller.
   * @throws ApiError 403 `ip_not_allowed` or `org_suspended`, 429 `rate_limited`
   */
  async admit(ctx: Context, caller: Extract<Principal, { org_id: string }>): Promise<void> {
    const rules = await this.#orgRules.get(caller.org_id);
    this.#requireAllowed(ctx, rules);
    await this.#limits.count(ctx, caller, rules.quotas);
  }

  /**
   * Whether the org is not suspended and its allowlist contains the caller's address.
   * @param age maximum age of the org's rules in ms; a second by default
   */
  async isAllowed(ctx: Context, caller: { org_id: string }, age?: number): Promise<boolean> {
    const { networks, isSuspended } = await this.#orgRules.get(caller.org_id, age);
    return !isSuspended && this.#isFrom(ctx, networks);
  }

  /**
   * Loads the org's rules again. Returns a guard that holds until they change.
   * @throws ApiError 403 `ip_not_allowed` or `org_suspended`
   */
  async orgGuard(ctx: Context, caller: { org_id: string }): Promise<Guard> {
    const rules = await this.#orgRules.get(caller.org_id, 0);
    this.#requireAllowed(ctx, rules);
    return { kind: 'version', key: sharedKeysOf(this.#db.prefix, caller.org_id).org, version: rules.version };
  }

  #requireAllowed(ctx: Context, { networks, isSuspended }: OrgRules): void {
    if (!this.#isFrom(ctx, networks)) throw notAllowed();
    if (isSuspended) throw orgSuspended();
  }

  #isFrom(ctx: Context, networks: OrgRules['networks']): boolean {
    return networks === null || isAllowedFrom(networks, this.#addresses.of(ctx.req));
  }

  /** The caller's address, which `isAllowed` judges; null if it is unknown. */
  addressOf(ctx: Context): string | null {
    return this.#addresses.of(ctx.req);
  }

  /**
   * Counts a request before its credential is looked up. @throws ApiError 429
   * @returns a function that undoes the count, for a valid credential.
   */
  reserveAnonymous(ctx: Context): () => void {
    return this.#anonymousRateLimit.reserve(ctx);
  }

  /** Counts an unauthenticated request, once: an invalid credential or an open route. @throws ApiError 429 */
  countAnonymous(ctx: Context): void {
    this.#anonymousRateLimit.count(ctx);
  }
}
