// Server-sent events (WHATWG HTML, section 9.2) as the body of a response: frames, heartbeat, and the end of a stream. A
// stream ends when the client disconnects or reads too slowly, when its time is up, or when the process shuts down. The
// pipeline ends it when the caller loses access.

import { Readable } from 'node:stream';
import type { InFlight } from '../access/in-flight.ts';
import type { Principal } from '../access/principal.ts';
import type { HttpResponse } from '../http/response.ts';

/** Interval of comment frames, ms: proxies close silent connections. */
const HEARTBEAT_EVERY_MS = 15_000;
const BEAT = Buffer.from(':\n\n');
/** Most unread bytes; the stream of a slower client is closed. */
const MAX_UNREAD_BYTES = 512 * 1024;
/** How long the end of a stream waits for a client that does not read, ms. */
const LINGER_MS = 3000;

export interface StreamEvent {
  /** Position after which a reconnecting client resumes; only on the last event of a step. */
  id?: string;
  event: string;
  data: unknown;
}

export class EventStream extends Readable {
  readonly #timers: NodeJS.Timeout[] = [];
  #drained: (() => void) | null = null;
  #ending = false;

  /** @param closing ends the stream when aborted. @param seconds longest duration. */
  constructor(closing: AbortSignal, seconds: number | undefined) {
    super({ highWaterMark: 16 * 1024 });
    const end = () => this.end();
    closing.addEventListener('abort', end);
    if (closing.aborted) end();
    this.#timers.push(setInterval(() => this.sendFrames(BEAT), HEARTBEAT_EVERY_MS));
    if (seconds !== undefined) this.#timers.push(setTimeout(end, seconds * 1000));
    this.once('close', () => {
      closing.removeEventListener('abort', end);
      for (const timer of this.#timers) clearInterval(timer);
      this.#drained?.();
    });
    // A random delay, so that clients do not all reconnect at once after a restart.
    this.sendFrames(Buffer.from(`retry: ${1000 + Math.round(Math.random() * 2000)}\n\n`));
  }

  /** Sends a position without an event, so that a client that got no event yet can resume. */
  sendPosition(id: string): void {
    this.sendFrames(Buffer.from(`id: ${id}\n\n`));
  }

  /** Sends one event. */
  send(event: StreamEvent): void {
    this.sendFrames(Buffer.from(frame(event)));
  }

  /** Sends frames that were built by the caller, perhaps for several streams. */
  sendFrames(frames: Buffer): void {
    if (this.#ending || this.destroyed) return;
    if (this.readableLength + frames.length > MAX_UNREAD_BYTES) this.destroy();
    else this.push(frames);
  }

  /** Whether the stream is closed for sending. */
  get isOver(): boolean {
    return this.#ending || this.destroyed;
  }

  /** Resolves when the client has taken most of what was sent, or the stream is over. */
  async drained(): Promise<void> {
    if (this.isOver || this.readableLength < this.readableHighWaterMark) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
  }

  /** Ends the stream after the events that were sent. */
  end(): void {
    if (this.isOver) return;
    this.#ending = true;
    this.push(null);
    const timer = setTimeout(() => this.destroy(), LINGER_MS);
    this.once('close', () => clearTimeout(timer));
    this.#drained?.();
  }

  override _read(): void {
    this.#drained?.();
    this.#drained = null;
  }
}

/** An event as a frame. */
export function frame({ id, event, data }: StreamEvent): string {
  return frameOf(event, JSON.stringify(data), id);
}

/** As `frame`, of data that are JSON already. */
export function frameOf(event: string, json: string, id?: string): string {
  const name = id === undefined ? '' : `id: ${id}\n`;
  return `${name}event: ${event}\ndata: ${json}\n\n`;
}

/**
 * Answers with a stream of events.
 * @param begin starts sending. @returns from it a function that stops it, called when the stream is over
 */
export function eventStream(
  call: { signal(): AbortSignal; deps: { inFlight: InFlight }; principal: Principal },
  seconds: number | undefined,
  begin: (stream: EventStream) => Promise<() => void>,
): HttpResponse {
  return {
    status: 200,
    headers: {
      'Content-Type': 'text/event-stream; charset=utf-8',
      // Tells a reverse proxy not to buffer the response.
      'X-Accel-Buffering': 'no',
    },
    async content() {
      const release = call.deps.inFlight.hold('streams', call.principal, 1);
      const stream = new EventStream(call.signal(), seconds);
      stream.once('close', release);
      try {
        const stop = await begin(stream);
        if (stream.destroyed) stop();
        else stream.once('close', stop);
      } catch (error) {
        stream.destroy();
        throw error;
      }
      return stream;
    },
  };
}
