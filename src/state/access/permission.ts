// Permissions: two lists, scopes and pools, in which `*` stands for all. A client that acts for a member may do only
// what both may do, and a credential can grant only what it has.

export interface Permission {
  scopes: readonly string[];
  pools: readonly string[];
}

/** The names that both lists allow. */
export function inBoth(one: readonly string[], other: readonly string[]): readonly string[] {
  if (one.includes('*')) return other;
  if (other.includes('*')) return one;
  return one.filter((name) => other.includes(name));
}

/** The names in `wanted` that `held` does not allow. */
export function lacking(held: readonly string[], wanted: readonly string[]): string[] {
  return held.includes('*') ? [] : wanted.filter((name) => !held.includes(name));
}

/** What all of these permissions allow. */
export function intersection(first: Permission, ...others: readonly Permission[]): Permission {
  return others.reduce(
    (before, one) => ({
      scopes: inBoth(before.scopes, one.scopes),
      pools: inBoth(before.pools, one.pools),
    }),
    first,
  );
}

/** Whether a credential with these pools may see a pool. A null pool (no pool) is visible only to an unconfined one. */
export function maySeePool({ pools }: { pools: readonly string[] }, pool: string | null): boolean {
  return pools.includes('*') || (pool !== null && pools.includes(pool));
}
