// Canonical JSON (RFC 8785): equal values have equal text, so it can be hashed and signed.

import canonicalize from 'canonicalize';

/**
 * The canonical JSON of a value.
 * @throws TypeError for what JSON cannot express, such as undefined, so that it never hashes as an empty text.
 */
export function canonicalText(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError(`no canonical JSON for a value of type ${typeof value}`);
  return text;
}
