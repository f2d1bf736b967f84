// The history of a task: its events, each bound to the previous one by a hash, so that a changed, missing or
// added entry is detected. The hash is SHA-256 (hex) over the RFC 8785 canonical JSON of the entry with its
// `previous_hash` and without its own `hash`.

import { hash } from 'node:crypto';
import { canonicalText } from '../text/canonical.ts';
import { timestamp } from '../text/time.ts';
import type { HistoryEntry, TaskEvent } from './event.ts';

/** Fields of an entry, all of which it has. */
export const HISTORY_FIELDS = [
  'event_id',
  'type',
  'sequence',
  'status',
  'previous_status',
  'at',
  'actor',
  'attempt_of_task',
  'data',
  'previous_hash',
  'hash',
] as const;

/** The entry of an event that follows the entry with `previousHash` (null for the first). */
export function historyEntry(event: TaskEvent, previousHash: string | null): HistoryEntry {
  const entry: HistoryEntry = {
    event_id: event.event_id,
    type: event.type,
    sequence: event.sequence,
    status: event.status,
    previous_status: event.previous_status,
    at: timestamp(event.at),
    actor: event.actor,
    attempt_of_task: event.attempt,
    data: event.data,
    previous_hash: previousHash,
    hash: '',
  };
  entry.hash = entryHash(entry);
  return entry;
}

/** The hash that an entry made here has, as `hashOf`. */
export function entryHash(entry: HistoryEntry): string {
  return hash('sha256', canonical(entry), 'hex');
}

/** SHA-256 over the canonical entry. Works for any entry, so entries from clients can be verified. */
export function hashOf(entry: Omit<HistoryEntry, 'hash'>): string {
  return hash('sha256', canonicalText(entry), 'hex');
}

/**
 * RFC 8785 JSON of an entry made here, faster than the library. The fields are known, so only `data` must be sorted, and
 * only `data` and the actor may need escaping: the rest are ids, words, times and hashes.
 */
function canonical(entry: HistoryEntry): string {
  return (
    `{"actor":${JSON.stringify(entry.actor)},"at":"${entry.at}","attempt_of_task":${entry.attempt_of_task},` +
    `"data":${canonicalText(entry.data)},"event_id":"${entry.event_id}",` +
    `"previous_hash":${quoted(entry.previous_hash)},"previous_status":${quoted(entry.previous_status)},` +
    `"sequence":${entry.sequence},"status":"${entry.status}","type":"${entry.type}"}`
  );
}

function quoted(text: string | null): string {
  return text === null ? 'null' : `"${text}"`;
}

/**
 * The sequence number of the first entry that does not follow from the previous one; null when the chain is intact.
 * @param head the known last entry. Without it, missing entries at the end are not detected.
 */
export function firstBroken(
  entries: readonly HistoryEntry[],
  head?: { sequence: number; hash: string },
): number | null {
  let previous: HistoryEntry | null = null;
  for (const entry of entries) {
    const { hash, ...rest } = entry;
    const follows =
      entry.sequence === (previous?.sequence ?? 0) + 1 && entry.previous_hash === (previous?.hash ?? null);
    if (!follows || hashOf(rest) !== hash) return entry.sequence;
    previous = entry;
  }
  if (head === undefined || (head.hash === previous?.hash && head.sequence === previous.sequence))
    return null;
  // Entries are missing at the end, or the last one differs.
  return Math.min(head.sequence, (previous?.sequence ?? 0) + 1);
}
