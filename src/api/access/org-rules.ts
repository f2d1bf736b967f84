// The rules of an org for its requests: IP allowlist, rate limits, storage quotas. They are cached for at most a second,
// so that a busy org does not cost a look-up for each request. A change takes effect within that second in every process,
// and at once in the process that made it.

import { isWithin, type Network, parseAddress, parseNetwork } from '../../state/access/networks.ts';
import { type StorageQuotas, storageQuotasOf } from '../../state/access/storage-quotas.ts';
import { orgOf } from '../../state/access/tenant.ts';
import { loadOrg, type Org } from '../../store/identity/orgs.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Quotas } from './rate-limits.ts';

const REMEMBERED = 1000;
const REMEMBERED_MOST = 10_000;

export interface OrgRules {
  /** Version of the org's record; 0 if there is none. */
  version: number;
  /** Networks from which its credentials may be used; null for all. */
  networks: readonly Network[] | null;
  quotas: Quotas;
  storage: StorageQuotas;
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
    networks: networksOf(org?.ip_allowlist ?? []),
    quotas: quotasOf(org, defaults.quotas),
    storage: storageQuotasOf(org?.quotas, defaults.storage),
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

export class OrgRulesCache {
  readonly #db: Db;
  readonly #defaults: DefaultRules;
  readonly #known = new Map<string, { until: number; rules: OrgRules | Promise<OrgRules> }>();

  constructor(db: Db, defaults: DefaultRules) {
    this.#db = db;
    this.#defaults = defaults;
  }

  /**
   * The rules of a tenant's org; not a promise if they are cached. @throws errors of Redis
   * @param age maximum age, ms.
   */
  of(tenantId: string, age = REMEMBERED): OrgRules | Promise<OrgRules> {
    const orgId = orgOf(tenantId);
    const now = performance.now();
    const known = this.#known.get(orgId);
    if (known !== undefined && known.until > now + REMEMBERED - age) return known.rules;
    return this.#load(orgId, now);
  }

  /** Drops the cached rules of an org, and a look-up of them that is in progress. */
  forget(orgId: string): void {
    this.#known.delete(orgId);
  }

  async #load(orgId: string, now: number): Promise<OrgRules> {
    const loading = loadOrg(this.#db, orgId).then((org) => rulesOf(org, this.#defaults));
    if (this.#known.size >= REMEMBERED_MOST) this.#known.clear();
    const entry: { until: number; rules: OrgRules | Promise<OrgRules> } = {
      // From before the look-up on: what it finds may be out of date when it arrives.
      until: now + REMEMBERED,
      rules: loading,
    };
    this.#known.set(orgId, entry);
    try {
      entry.rules = await loading;
      return entry.rules;
    } catch (error) {
      if (this.#known.get(orgId) === entry) this.#known.delete(orgId);
      throw error;
    }
  }
}
