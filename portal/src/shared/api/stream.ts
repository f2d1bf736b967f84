// One stream of events for all tabs of an app: a browser allows six connections to a server, and each stream holds one. The
// tab that holds a lock (Web Locks) reads the stream and passes the events on (BroadcastChannel); when it is closed, the next
// tab takes over.

import { ApiError, BioLayer } from '@biolayer/sdk';
import { noteSessionEnd, onSessionChange, sessionHasEnded } from './session-state.ts';

export type Connection = 'connecting' | 'live' | 'offline';

/** What a stream of the SDK yields. */
interface Event {
  type: string;
  data: unknown;
}

export interface SharedStreamOptions<E extends Event> {
  /** Names the stream among all tabs of this origin. */
  name: string;
  /** Opens the stream. It must end when the signal aborts. */
  open: (client: BioLayer, signal: AbortSignal) => AsyncIterable<E>;
  /** Called in every tab. */
  onEvent: (event: E) => void;
  /** Called in every tab, also to say that events may have been missed: when it becomes `live`, renew what you show. */
  onConnection: (connection: Connection) => void;
}

type Passed<E> = { event: E } | { connection: Connection } | { ask: true };

/** The server sends a heartbeat every 15 s; a stream that is silent for longer is broken. */
const SILENCE = 40_000;

/** Follows the stream until the returned function is called. */
export function shareStream<E extends Event>(options: SharedStreamOptions<E>): () => void {
  const stop = new AbortController();
  const channel = new BroadcastChannel(`biolayer-${options.name}`);
  let isLeader = false;
  let connection: Connection = 'connecting';
  const pass = (message: Passed<E>) => {
    if (!stop.signal.aborted) channel.postMessage(message);
  };
  const setConnection = (next: Connection) => {
    if (next === connection || stop.signal.aborted) return;
    connection = next;
    options.onConnection(next);
    if (isLeader) pass({ connection: next });
  };
  channel.onmessage = ({ data }: MessageEvent<Passed<E>>) => {
    if ('ask' in data) {
      if (isLeader) pass({ connection });
    } else if (isLeader) return;
    else if ('event' in data) options.onEvent(data.event);
    else setConnection(data.connection);
  };
  const lead = async () => {
    isLeader = true;
    const onEvent = (event: E) => {
      options.onEvent(event);
      pass({ event });
    };
    await followUntil(stop.signal, options.open, onEvent, setConnection);
  };
  // Locks exist in secure contexts only; without them each tab has its own stream.
  if (navigator.locks === undefined) void lead();
  else
    navigator.locks.request(`biolayer-${options.name}`, { signal: stop.signal }, lead).catch(() => undefined);
  pass({ ask: true });
  return () => {
    stop.abort();
    channel.close();
  };
}

/** Reads the stream; opens it again when it is broken, when the network is back, and when the session is. */
async function followUntil<E extends Event>(
  stopped: AbortSignal,
  open: (client: BioLayer, signal: AbortSignal) => AsyncIterable<E>,
  onEvent: (event: E) => void,
  onConnection: (connection: Connection) => void,
): Promise<void> {
  while (!stopped.aborted) {
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    const signal = AbortSignal.any([stopped, attempt.signal]);
    const client = new BioLayer({
      apiKey: null,
      baseUrl: location.origin,
      fetch: watchedFetch(onConnection, abort),
    });
    // The SDK waits longer and longer between attempts; a network that is back ends the wait.
    addEventListener('online', abort, { once: true });
    try {
      for await (const event of open(client, signal)) onEvent(event);
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) noteSessionEnd();
    } finally {
      removeEventListener('online', abort);
    }
    onConnection('offline');
    if (sessionHasEnded()) await sessionRestored(stopped);
    else await pause(1000, stopped);
  }
}

/** A fetch that reports whether the stream is open, and ends it when it is silent for too long. */
function watchedFetch(onConnection: (connection: Connection) => void, end: () => void): typeof fetch {
  return async (input, init) => {
    let response: Response;
    try {
      response = await fetch(input, { ...init, credentials: 'same-origin' });
    } catch (error) {
      onConnection('offline');
      throw error;
    }
    if (!response.ok || response.body === null) {
      onConnection('offline');
      return response;
    }
    onConnection('live');
    let timer = setTimeout(end, SILENCE);
    const watch = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        clearTimeout(timer);
        timer = setTimeout(end, SILENCE);
        controller.enqueue(chunk);
      },
      flush() {
        clearTimeout(timer);
        onConnection('offline');
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(watch), { status, statusText, headers });
  };
}

function sessionRestored(stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const unsubscribe = onSessionChange(() => {
      if (sessionHasEnded()) return;
      unsubscribe();
      resolve();
    });
    stopped.addEventListener('abort', () => resolve(), { once: true });
  });
}

function pause(ms: number, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    stopped.addEventListener('abort', () => resolve(), { once: true });
  });
}
