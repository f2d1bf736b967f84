// Adds entries to the outbox. Stream fields: `d` the entry as JSON, `f` its format version.

import { formOf, type OutboxEntry } from '../../state/outbox.ts';
import type { Write } from './commit.ts';

/** The write that adds an entry to the outbox. @param key of the partition's outbox */
export function outboxWrite(key: string, entry: OutboxEntry): Write {
  return ['XADD', key, '*', 'd', JSON.stringify(entry), 'f', formOf(entry)];
}
