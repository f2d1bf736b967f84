// A client of server-sent events, as the standard reads them (WHATWG HTML, section 9.2): events one after the
// other, the id to come back with, and how the stream ended.
import type { Client } from './api.ts';

export interface Seen<T = Record<string, unknown>> {
  id: string;
  event: string;
  data: T;
}

export class Listener {
  readonly response: Response;
  /** What a client comes back with. */
  lastEventId = '';
  /** Text since the last whole event, when the stream is over. */
  rest = '';
  comments = 0;
  readonly #abort: AbortController;
  readonly #events: AsyncGenerator<Seen>;

  constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.#events = this.#read();
  }

  /** The next event. @throws when the stream ends or breaks off before. */
  async next<T = Record<string, unknown>>(event?: string): Promise<Seen<T>> {
    for (;;) {
      const { done, value } = await this.#events.next();
      if (done) throw new Error('the stream is over');
      if (event === undefined || value.event === event) return value as Seen<T>;
    }
  }

  /** All events until the stream ends. */
  async all(): Promise<Seen[]> {
    const seen: Seen[] = [];
    for await (const one of this.#events) seen.push(one);
    return seen;
  }

  close(): void {
    this.#abort.abort();
  }

  async *#read(): AsyncGenerator<Seen> {
    if (this.response.body === null) return;
    const decoder = new TextDecoder();
    for await (const chunk of this.response.body) {
      this.rest += decoder.decode(chunk, { stream: true });
      const blocks = this.rest.split('\n\n');
      this.rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const seen: Seen = { id: this.lastEventId, event: 'message', data: {} };
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

/** Opens a stream. @throws Error when the answer is none. */
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
