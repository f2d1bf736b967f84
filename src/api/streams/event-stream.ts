// Server-sent events (WHATWG HTML, section 9.2) as the body of an answer: frames, heartbeat, and every way in
// which a stream ends: the client goes, reads too slowly, has had its time, or the process shuts down; one that
// may not see this any more is cut off by the pipeline. What is sent is not known here.

import { Readable } from 'node:stream';
import type { Answer } from '../http/answer.ts';
import type { Call } from '../route.ts';

/** A comment is sent when nothing else is for this long: proxies cut off what is silent. */
const HEARTBEAT = 15_000;
const BEAT = Buffer.from(':\n\n');
/** What a client may leave unread, bytes; one that lags behind by more is cut off. */
const UNREAD_MOST = 512 * 1024;
/** How long a client that does not read is waited for when the stream ends, ms. */
const LINGER = 3000;

export interface StreamEvent {
  /** What the client goes on behind when it comes back; absent on all but the last event of a step. */
  id?: string;
  event: string;
  data: unknown;
}

export class EventStream extends Readable {
  readonly #timers: NodeJS.Timeout[] = [];
  #drained: (() => void) | null = null;
  #ending = false;

  /** @param seconds ends the stream by itself. */
  constructor(closing: AbortSignal, seconds: number | undefined) {
    super({ highWaterMark: 16 * 1024 });
    const end = () => this.end();
    closing.addEventListener('abort', end);
    if (closing.aborted) end();
    this.#timers.push(setInterval(() => this.sendFrames(BEAT), HEARTBEAT));
    if (seconds !== undefined) this.#timers.push(setTimeout(end, seconds * 1000));
    this.once('close', () => {
      closing.removeEventListener('abort', end);
      for (const timer of this.#timers) clearInterval(timer);
      this.#drained?.();
    });
    // When all clients come back at once after a restart, they do so over a while.
    this.sendFrames(Buffer.from(`retry: ${1000 + Math.round(Math.random() * 2000)}\n\n`));
  }

  /** Tells where the stream stands, without an event: what a client comes back with that was told of nothing yet. */
  sendPosition(id: string): void {
    this.sendFrames(Buffer.from(`id: ${id}\n\n`));
  }

  /** Sends one event. */
  send(event: StreamEvent): void {
    this.sendFrames(Buffer.from(frame(event)));
  }

  /** Sends frames made elsewhere, perhaps for many. */
  sendFrames(frames: Buffer): void {
    if (this.#ending || this.destroyed) return;
    if (this.readableLength + frames.length > UNREAD_MOST) this.destroy();
    else this.push(frames);
  }

  /** Whether nothing more will be sent. */
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

  /** Ends the stream as a client likes it: at the end of an event. */
  end(): void {
    if (this.isOver) return;
    this.#ending = true;
    this.push(null);
    const timer = setTimeout(() => this.destroy(), LINGER);
    this.once('close', () => clearTimeout(timer));
    this.#drained?.();
  }

  override _read(): void {
    this.#drained?.();
    this.#drained = null;
  }
}

/** An event as text. */
export function frame({ id, event, data }: StreamEvent): string {
  const name = id === undefined ? '' : `id: ${id}\n`;
  return `${name}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

/**
 * An answer that is a stream of events.
 * @param begin sends what there is and keeps sending; what it returns is called when the stream is over.
 */
export function eventStream(
  call: Pick<Call, 'signal' | 'deps' | 'principal'>,
  seconds: number | undefined,
  begin: (stream: EventStream) => Promise<() => void>,
): Answer {
  return {
    status: 200,
    headers: {
      'Content-Type': 'text/event-stream; charset=utf-8',
      // For a reverse proxy that would rather collect an answer before it passes it on.
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
