// Checks the hash chain of a task's history in the browser, independent of the server that stores it: the hash of an entry is
// SHA-256 (hex) over its canonical JSON (RFC 8785) without `hash`, and each entry names the hash of the one before it.

import type { HistoryEntry, HistoryHead } from '@biolayer/sdk';
import canonicalize from 'canonicalize';

/**
 * The sequence number of the first entry that does not follow from the one before it; null when the chain is intact.
 * Needs a secure context (Web Crypto).
 * @param entries oldest first. @param head the last entry as the server knows it, so that missing ones at the end are noticed
 */
export async function firstBroken(
  entries: readonly HistoryEntry[],
  head: HistoryHead | null,
): Promise<number | null> {
  let previous: HistoryEntry | null = null;
  for (const entry of entries) {
    const { hash, ...rest } = entry;
    const follows =
      entry.sequence === (previous?.sequence ?? 0) + 1 && entry.previous_hash === (previous?.hash ?? null);
    if (!follows || (await hashOf(rest)) !== hash) return entry.sequence;
    previous = entry;
  }
  if (head === null || (head.hash === previous?.hash && head.sequence === previous.sequence)) return null;
  return Math.min(head.sequence, (previous?.sequence ?? 0) + 1);
}

/** Whether this page can check hashes. */
export const canCheck = globalThis.crypto?.subtle !== undefined;

async function hashOf(entry: object): Promise<string> {
  const bytes = new TextEncoder().encode(canonicalize(entry));
  const hash = await crypto.subtle.digest('SHA-256', bytes);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
