// What one may pass on to another. A permission is two lists, scopes and pools, in which `*` stands for all.
// Whoever acts for somebody may do what both may, and nobody gives what they lack.

export interface Permission {
  scopes: readonly string[];
  pools: readonly string[];
}

/** What both lists allow. */
export function eligibility_reduced(one: readonly string[], other: readonly string[]): readonly string[] {
  if (one.includes('*')) return other;
  if (other.includes('*')) return one;
  return one.filter((name) => other.includes(name));
}

/** What of `wanted` the list does not allow. */
export function lacking(held: readonly string[], wanted: readonly string[]): string[] {
  return held.includes('*') ? [] : wanted.filter((name) => !held.includes(name));
}

/** What all of these permissions allow. @param first what the narrowing begins with. */
export function intersection(first: Permission, ...others: readonly Permission[]): Permission {
  return others.reduce(
    (before, one) => ({
      scopes: eligibility_reduced(before.scopes, one.scopes),
      pools: eligibility_reduced(before.pools, one.pools),
    }),
    first,
  );
}
