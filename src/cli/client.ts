// The HTTP client of the command: a request returns JSON, or throws when it is refused or takes too long.

import { Refused, Unreachable } from './faults.ts';
import { at } from './value.ts';

const SECOND = 1000;
/** Time limit of a request, ms, in addition to the long poll that it asks for. */
const LIMIT = 30 * SECOND;

/** Query parameters; a list repeats the parameter. */
export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What to send, besides method and path. */
export interface Request {
  query?: Query | undefined;
  /** Sent as JSON. */
  body?: unknown;
  headers?: Record<string, string> | undefined;
  /** Duration of the long poll, s. */
  wait?: number | undefined;
  /** Called with the text of a 2xx JSON response before it is returned; may throw. */
  inspect?: ((text: string) => void) | undefined;
}

/** Calls the API with one credential. */
export class Client {
  readonly #base: string;
  readonly #credential: string;

  constructor(base: string, credential: string) {
    this.#base = base;
    this.#credential = credential;
  }

  /**
   * Sends a request.
   * @returns the JSON of the response; null when it has no body.
   * @throws Refused on any status other than 2xx; Unreachable when there is no response in time.
   */
  async send(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    request: Request = {},
  ): Promise<unknown> {
    const { query = {}, body, headers, wait, inspect } = request;
    const url = new URL(this.#base + path);
    if (wait !== undefined) url.searchParams.set('wait', String(wait));
    for (const [name, value] of Object.entries(query))
      for (const one of [value ?? []].flat()) url.searchParams.append(name, one);

    const { status, text, location } = await this.#fetch(url, (wait ?? 0) * SECOND + LIMIT, {
      method,
      // Following a redirect would send the credential to another server, or turn a POST into a GET.
      redirect: 'manual',
      headers: {
        Authorization: `Bearer ${this.#credential}`,
        Accept: 'application/json',
        ...(body !== undefined && { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const answer = parse(text);
    if (status >= 300 && status < 400)
      throw new Refused(status, {
        code: 'redirected',
        detail: `${this.#base} redirects to ${location}; use that as the URL.`,
      });
    if (status >= 400) throw new Refused(status, at(answer, 'code') === undefined ? null : answer);
    if (answer === undefined)
      throw new Refused(status, {
        code: 'not_json',
        detail: `${this.#base} does not respond with JSON. Is it the URL of the API?`,
      });
    if (text !== '') inspect?.(text);
    return answer;
  }

  /**
   * Streams the body of a GET, without a time limit.
   * @throws Refused on any status other than 2xx; Unreachable, also when the body ends early.
   */
  async *stream(path: string, query: Query): AsyncGenerator<Uint8Array> {
    const url = new URL(this.#base + path);
    for (const [name, value] of Object.entries(query))
      for (const one of [value ?? []].flat()) url.searchParams.append(name, one);
    try {
      const response = await fetch(url, {
        redirect: 'manual',
        headers: { Authorization: `Bearer ${this.#credential}` },
      });
      if (!response.ok) throw new Refused(response.status, parse(await response.text()) ?? null);
      if (response.body !== null) yield* response.body;
    } catch (error) {
      if (error instanceof Refused) throw error;
      throw new Unreachable(`the response of ${this.#base} was interrupted: ${reason(error)}`);
    }
  }

  async #fetch(url: URL, limit: number, init: RequestInit) {
    try {
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(limit) });
      const location = response.headers.get('location') ?? '';
      return { status: response.status, location, text: await response.text() };
    } catch (error) {
      throw new Unreachable(`${this.#base} could not be reached: ${reason(error)}`);
    }
  }
}

/** The JSON of a body; null for an empty one, undefined when it is not JSON. */
function parse(text: string): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The reason of a network error. `fetch` puts it into the cause, as an AggregateError if several addresses were tried. */
function reason(error: unknown): string {
  const { cause, name } = error instanceof Error ? error : { cause: undefined, name: '' };
  if (name === 'TimeoutError') return 'no response in time';
  const first = cause instanceof AggregateError ? cause.errors[0] : cause;
  if (first instanceof Error) return first.message || first.name;
  return error instanceof Error ? error.message : String(error);
}
