// Spans of the relay: one for each entry that belongs to a trace. What follows from the entry continues it.

import { SpanKind } from '@opentelemetry/api';
import type { OutboxEntry } from '../state/outbox.ts';
import { isTracing, startSpan } from '../tracing/tracing.ts';

/** Relays entries, each in a span of its trace while traces are on. @param relay gets them with that span as their trace. */
export async function tracedEntries(
  entries: readonly OutboxEntry[],
  relay: (entries: readonly OutboxEntry[]) => Promise<void>,
): Promise<void> {
  if (!isTracing()) return relay(entries);
  const spans = entries.map((entry) => (entry.trace === undefined ? null : spanOf(entry)));
  try {
    await relay(
      entries.map((entry, index) => {
        const trace = spans[index]?.traceparent;
        return trace === undefined ? entry : { ...entry, trace };
      }),
    );
  } finally {
    for (const one of spans) one?.span.end();
  }
}

function spanOf(entry: OutboxEntry) {
  const attributes = {
    'messaging.system': 'biolayer',
    'messaging.destination.name': 'outbox',
    'messaging.operation.type': 'process',
    'messaging.operation.name': 'relay',
    org_id: entry.org_id,
    ...('task_id' in entry && { task_id: entry.task_id }),
  };
  return startSpan('relay outbox', { kind: SpanKind.CONSUMER, attributes, parent: entry.trace });
}

/** Looks up the traces of what follows from entries by their events and notices; undefined for those of no trace. */
export function tracesOf(entries: readonly OutboxEntry[]): {
  ofEvent: (event: { task_id: string; sequence: number }) => string | undefined;
  ofNotice: (notice: { notice_id: string }) => string | undefined;
} {
  const [events, notices] = [new Map<string, string>(), new Map<string, string>()];
  for (const entry of entries) {
    const { trace } = entry;
    if (trace === undefined || entry.kind !== 'task') continue;
    for (const index of entry.events.keys()) events.set(`${entry.task_id} ${entry.first + index}`, trace);
    for (const { notice_id } of entry.notices ?? []) notices.set(notice_id, trace);
  }
  return {
    ofEvent: ({ task_id, sequence }) => events.get(`${task_id} ${sequence}`),
    ofNotice: ({ notice_id }) => notices.get(notice_id),
  };
}
