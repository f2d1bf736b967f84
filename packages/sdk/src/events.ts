// Streams of events (server-sent events): they go on after a broken connection where they stopped.

import { ApiError, ConnectionError } from './errors.ts';
import type { FeedEvent, OperationId, StreamEventsQuery, WorkerFeedStreamEvent } from './generated/client.ts';
import { pause } from './pause.ts';
import type { RequestOptions, Transport } from './transport.ts';

/** An event of a stream. */
export interface StreamEvent<Data, Type extends string = string> {
  /** Position after this event: pass it as `lastEventId` to go on from here later. */
  id: string | null;
  type: Type;
  data: Data;
}

export interface StreamOptions extends Pick<RequestOptions, 'signal' | 'headers'> {
  /** Starts after this position instead of with the next event. */
  lastEventId?: string | undefined;
}

/** An event of the org or one of its tasks. `type` says which; so does `data.type`. */
export type OrgStreamEvent = OfFeed<FeedEvent>;
type OfFeed<E extends FeedEvent> = E extends unknown ? StreamEvent<E, E['type']> : never;

/** A change of the worker's offers, tasks or own record, by `type`. */
export type WorkerEvent = OfWorker<WorkerFeedStreamEvent>;
type OfWorker<E extends WorkerFeedStreamEvent> = E extends unknown
  ? StreamEvent<E['data'], E['event']>
  : never;

/** First pause before connecting again; it doubles with each failure in a row, ms. */
const RECONNECT_DELAY = 500;
const LONGEST_DELAY = 30_000;

/**
 * Follows a stream until the signal aborts, or the caller leaves the loop. Reconnects after a broken connection, when the
 * server ends the stream, and after 429 and 5xx, each time from the last event seen.
 * @throws ApiError when the server refuses the stream
 */
export async function* follow<Event extends StreamEvent<unknown>>(
  transport: Transport,
  operation: OperationId,
  query: StreamEventsQuery,
  { lastEventId, ...options }: StreamOptions,
): AsyncGenerator<Event> {
  let position = lastEventId;
  let failures = 0;
  const hasEnded = () => options.signal?.aborted === true;
  while (!hasEnded()) {
    // A cursor says where to start; after the first event the position does.
    const { cursor, ...filters } = query;
    const input = { query: position === undefined ? query : filters };
    const headers = { ...options.headers, ...(position !== undefined && { 'Last-Event-ID': position }) };
    try {
      for await (const event of transport.stream(operation, input, { ...options, headers })) {
        failures = 0;
        if (event.id !== undefined) position = event.id;
        // Frames without data set the position or the reconnection time only.
        if (typeof event.data !== 'string' || event.data === '') continue;
        const { id = null, event: type = 'message', data } = event;
        // The server sends what the document describes.
        yield { id, type, data: JSON.parse(data) as unknown } as Event;
      }
    } catch (error) {
      if (hasEnded()) return;
      const isPassing =
        error instanceof ConnectionError ||
        (error instanceof ApiError && (error.status === 429 || error.status >= 500));
      if (!isPassing) throw error;
    }
    failures += 1;
    await pause(Math.min(RECONNECT_DELAY * 2 ** (failures - 1), LONGEST_DELAY), options.signal);
  }
}
