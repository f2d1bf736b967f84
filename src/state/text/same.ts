// Compares values as JSON. A change that sets fields to the values they have is not written, so repeating it does not
// grow any log.

import canonicalize from 'canonicalize';

/** Whether two values are the same JSON, regardless of the order of fields. */
export function isSame(one: unknown, other: unknown): boolean {
  return one === other || canonicalize(one ?? null) === canonicalize(other ?? null);
}
