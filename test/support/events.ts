// A client of server-sent events (WHATWG HTML, section 9.2) that returns events one by one, keeps the last id, and
// reports how the stream ended.
import type { Client } from './api.ts';

export interface ReceivedEvent<T = Record<string, unknown>> {
  id: string;
  event: string;
  data: T;
}

export class Listener {
  readonly response: Response;
  /** Id that a client sends when it reconnects. */
  lastEventId = '';
  /** Text after the last complete event when the stream has ended. */
  rest = '';
  comments = 0;
  readonly #abort: AbortController;
  readonly #events: AsyncGenerator<ReceivedEvent>;

  constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.#events = this.#read();
  }

  /** The next event, optionally of a type. @throws Error when the stream ends before. */
  async next<T = Record<string, unknown>>(event?: string): Promise<ReceivedEvent<T>> {
    for (;;) {
      const { done, value } = await this.#events.next();
      if (done) throw new Error('the stream has ended');
      if (event === undefined || value.event === event) return value as ReceivedEvent<T>;
    }
  }

  /** All events until the stream ends. */
  async all(): Promise<ReceivedEvent[]> {
    const seen: ReceivedEvent[] = [];
    for await (const one of this.#events) seen.push(one);
    return seen;
  }

  close(): void {
    this.#abort.abort();
  }

  async *#read(): AsyncGenerator<ReceivedEvent> {
    if (this.response.body === null) return;
    const decoder = new TextDecoder();
    for await (const chunk of this.response.body) {
      this.rest += decoder.decode(chunk, { stream: true });
      const blocks = this.rest.split('\n\n');
      this.rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const seen: ReceivedEvent = { id: this.lastEventId, event: 'message', data: {} };
        let hasData = false;
        for (const line of block.split('\n')) {
          const [, name = '', value = ''] = /^([^:]*): ?(.*)$/s.exec(line) ?? [];
          if (name === '') this.comments += 1;
          if (name === 'id') this.lastEventId = value;
          if (name === 'event') seen.event = value;
          if (name === 'data') {
            seen.data = JSON.parse(value);
            hasData = true;
          }
        }
        seen.id = this.lastEventId;
        if (hasData) yield seen;
      }
    }
  }
}

/** Opens a stream. @throws Error unless the status is 200. */
export async function listen(client: Client, path: string, lastEventId?: string): Promise<Listener> {
  const abort = new AbortController();
  const response = await fetch(client.url + path, {
    signal: abort.signal,
    headers: {
      ...(client.credential !== null && { Authorization: `Bearer ${client.credential}` }),
      ...(lastEventId !== undefined && { 'Last-Event-ID': lastEventId }),
    },
  });
  if (response.status !== 200) throw new Error(`${path} → ${response.status} ${await response.text()}`);
  return new Listener(response, abort);
}
