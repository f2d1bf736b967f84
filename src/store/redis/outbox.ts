// Adds entries to the outbox. Stream fields: `d` the entry as JSON, `f` its format version. While traces are on, an entry
// carries the span that writes it.

import { formOf, type OutboxEntry } from '../../state/outbox.ts';
import { traceparent } from '../../tracing/tracing.ts';
import type { Write } from './commit.ts';

/** The write that adds an entry to the outbox. @param key of the partition's outbox */
export function outboxWrite(key: string, entry: OutboxEntry): Write {
  const trace = traceparent();
  const traced = trace === undefined ? entry : { ...entry, trace };
  return ['XADD', key, '*', 'd', JSON.stringify(traced), 'f', formOf(entry)];
}
