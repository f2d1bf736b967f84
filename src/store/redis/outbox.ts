// Adds entries to the outbox. Stream fields: `d` the entry as JSON, `f` its format version. While traces are on, an entry
// carries the span that writes it.

import { formOf, type OutboxEntry } from '../../state/outbox.ts';
import { traceparent } from '../../tracing/tracing.ts';
import type { Write } from './commit.ts';

/** The writes that add an entry to the outbox, and wake the relay. @param key of the partition's outbox */
export function outboxWrites(key: string, entry: OutboxEntry): [Write, Write] {
  const trace = traceparent();
  const traced = trace === undefined ? entry : { ...entry, trace };
  return [
    ['XADD', key, '*', 'd', JSON.stringify(traced), 'f', formOf(entry)],
    ['SPUBLISH', key, ''],
  ];
}
