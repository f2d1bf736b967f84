// The rules of an org for its requests: suspension, IP allowlist, rate limits, storage quotas. They are cached for at most a
// second, so that a busy org does not cost a look-up for each request. A change takes effect within that second in every
// process, and at once in the process that made it.

import { LRUCache } from 'lru-cache';
import { isWithin, type Network, parseAddress, parseNetwork } from '../../state/access/networks.ts';
import { type StorageQuotas, storageQuotasOf } from '../../state/access/storage-quotas.ts';
import { orgOf } from '../../state/access/tenant.ts';
import { atMost } from '../../state/cache-entries.ts';
import { loadOrg, type Org } from '../../store/identity/orgs.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Quotas } from './rate-limits.ts';

/** Maximum age of cached rules, ms. */
export const RULES_CACHE_MS = 1000;
const MAX_CACHED = 10_000;

export interface OrgRules {
  /** Version of the org's record; 0 if there is none. */
  version: number;
  isSuspended: boolean;
  /** Networks from which its credentials may be used; null for all. */
  networks: readonly Network[] | null;
  quotas: Quotas;
  storage: StorageQuotas;
  /** The tenants that have task types. */
  taskTypes: Readonly<Record<'live' | 'test', boolean>>;
}

/** Rules of orgs that have none of their own. */
export interface DefaultRules {
  quotas: Quotas;
  storage: StorageQuotas;
}

/** The rules in an org's record; the defaults if there is no record. */
function rulesOf(org: Org | null, defaults: DefaultRules): OrgRules {
  return {
    version: org?.version ?? 0,
    isSuspended: org?.suspension !== undefined,
    networks: networksOf(org?.ip_allowlist ?? []),
    quotas: quotasOf(org, defaults.quotas),
    storage: storageQuotasOf(org?.quotas, defaults.storage),
    taskTypes: {
      live: org?.task_types_since?.live !== undefined,
      test: org?.task_types_since?.test !== undefined,
    },
  };
}

/** An org's rate limits: its own, or the defaults. */
export function quotasOf(org: Org | null, defaults: Quotas): Quotas {
  return { key: org?.rate_limits?.key ?? defaults.key, org: org?.rate_limits?.org ?? defaults.org };
}

/** Parses an allowlist; null for an empty one, which allows all addresses. */
export function networksOf(allowlist: readonly string[]): readonly Network[] | null {
  if (allowlist.length === 0) return null;
  return allowlist.map(parseNetwork).filter((network) => network !== null);
}

/** Whether the allowlist contains the address. An unknown address (null) is in no list. */
export function isAllowedFrom(networks: readonly Network[] | null, address: string | null): boolean {
  if (networks === null) return true;
  const parsed = address === null ? null : parseAddress(address);
  return parsed !== null && isWithin(parsed, networks);
}

/** Rules, or the look-up of them in progress. */
interface CachedRules {
  /** Start of the look-up, by the monotonic clock: its result may be outdated when it arrives. */
  loadedAt: number;
  rules: OrgRules | Promise<OrgRules>;
}

export class OrgRulesCache {
  readonly #db: Db;
  readonly #defaults: DefaultRules;
  readonly #cache = new LRUCache<string, CachedRules>(atMost(MAX_CACHED));

  constructor(db: Db, defaults: DefaultRules) {
    this.#db = db;
    this.#defaults = defaults;
  }

  /**
   * The rules of a tenant's org; not a promise if they are cached. @throws errors of Redis
   * @param age maximum age, ms.
   */
  get(tenantId: string, age = RULES_CACHE_MS): OrgRules | Promise<OrgRules> {
    const orgId = orgOf(tenantId);
    const cached = this.#cache.get(orgId);
    if (cached !== undefined && performance.now() - cached.loadedAt < age) return cached.rules;
    return this.#load(orgId);
  }

  /** Drops the cached rules of an org, and a look-up of them that is in progress. */
  forget(orgId: string): void {
    this.#cache.delete(orgId);
  }

  async #load(orgId: string): Promise<OrgRules> {
    const loadedAt = performance.now();
    const loading = loadOrg(this.#db, orgId).then((org) => rulesOf(org, this.#defaults));
    const entry: CachedRules = { loadedAt, rules: loading };
    this.#cache.set(orgId, entry);
    try {
      entry.rules = await loading;
      return entry.rules;
    } catch (error) {
      if (this.#cache.peek(orgId) === entry) this.#cache.delete(orgId);
      throw error;
    }
  }
}
