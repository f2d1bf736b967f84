// How an entry is left in the outbox.

import { ENTRY_FORM, type OutboxEntry } from '../../state/outbox.ts';
import type { Write } from './commit.ts';

/** The write that leaves an entry for the relay, with the number of its form beside it. @param key of the outbox */
export function outboxWrite(key: string, entry: OutboxEntry): Write {
  return ['XADD', key, '*', 'd', JSON.stringify(entry), 'f', ENTRY_FORM];
}
