// Whether a change changes anything: what does not is not written, so that a switch that is set to what it is already,
// all day long, leaves nothing behind.

import canonicalize from 'canonicalize';

/** Whether two values are the same as JSON, in whatever order their fields stand. */
export function isSame(one: unknown, other: unknown): boolean {
  return one === other || canonicalize(one ?? null) === canonicalize(other ?? null);
}
