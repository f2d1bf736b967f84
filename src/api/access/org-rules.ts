// What an org asks of every request of its own, beyond a good credential: to come from an address that it
// lists, and no more often than was agreed. Remembered for at most a second by the process's own clock, which
// never steps back, so that a busy org costs no look-up a request and a change holds in every process within
// that second, in the one that made it at once.

import { isWithin, type Network, parseAddress, parseNetwork } from '../../state/access/networks.ts';
import { type StorageQuotas, storageQuotasOf } from '../../state/access/storage-quotas.ts';
import { orgOf } from '../../state/access/tenant.ts';
import { loadOrg, type Org } from '../../store/identity/orgs.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Quotas } from './rate-limits.ts';

const REMEMBERED = 1000;
const REMEMBERED_MOST = 10_000;

export interface OrgRules {
  /** Of the org's record; 0 when there is none. */
  version: number;
  /** Where its credentials may be used from; null for anywhere. */
  networks: readonly Network[] | null;
  quotas: Quotas;
  storage: StorageQuotas;
}

/** What holds for orgs that have no rules of their own. */
export interface DefaultRules {
  quotas: Quotas;
  storage: StorageQuotas;
}

/** The rules in an org's record; of an org that is not there, the defaults. */
function rulesOf(org: Org | null, defaults: DefaultRules): OrgRules {
  return {
    version: org?.version ?? 0,
    networks: networksOf(org?.ip_allowlist ?? []),
    quotas: quotasOf(org, defaults.quotas),
    storage: storageQuotasOf(org?.quotas, defaults.storage),
  };
}

/** The quotas that hold for an org: its own where it has them. */
export function quotasOf(org: Org | null, defaults: Quotas): Quotas {
  return { key: org?.rate_limits?.key ?? defaults.key, org: org?.rate_limits?.org ?? defaults.org };
}

/** An allowlist as networks; an empty one allows all. */
export function networksOf(allowlist: readonly string[]): readonly Network[] | null {
  if (allowlist.length === 0) return null;
  return allowlist.map(parseNetwork).filter((network) => network !== null);
}

/** Whether the allowlist lets the address in. One that cannot be told is in no list. */
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
   * The rules of a tenant's org; at once when they are remembered. @throws what Redis throws.
   * @param age how old they may be, ms.
   */
  of(tenantId: string, age = REMEMBERED): OrgRules | Promise<OrgRules> {
    const orgId = orgOf(tenantId);
    const now = performance.now();
    const known = this.#known.get(orgId);
    if (known !== undefined && known.until > now + REMEMBERED - age) return known.rules;
    return this.#load(orgId, now);
  }

  /** Forgets an org that was changed; also what is being loaded of it at this moment. */
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
