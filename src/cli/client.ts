// HTTP for the command: one request, its JSON answer or a refusal, and a time limit.

import { Refused, Unreachable } from './faults.ts';
import { at } from './value.ts';

const SECOND = 1000;
/** Longest wait for an answer, beyond what the request itself asks the server to wait. */
const LIMIT = 30 * SECOND;

export type Query = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface Request {
  query?: Query | undefined;
  /** Sent as JSON. */
  body?: unknown;
  headers?: Record<string, string> | undefined;
  /** How long the server is asked to hold the request, s. */
  wait?: number | undefined;
  /** Given the text of a 2xx answer in JSON before it is used; may throw. */
  inspect?: ((text: string) => void) | undefined;
}

export class Client {
  readonly #base: string;
  readonly #credential: string;

  constructor(base: string, credential: string) {
    this.#base = base;
    this.#credential = credential;
  }

  /**
   * Sends a request.
   * @returns the JSON of the answer; null when it has no body.
   * @throws Refused on any status but 2xx; Unreachable when no answer came in time.
   */
  async send(
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
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
      // A redirect would send the credential, or a POST turned GET, somewhere else.
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
        detail: `${this.#base} redirects to ${location}; name that as the URL.`,
      });
    if (status >= 400) throw new Refused(status, at(answer, 'code') === undefined ? null : answer);
    if (answer === undefined)
      throw new Refused(status, {
        code: 'not_json',
        detail: `${this.#base} does not answer in JSON. Is it the API?`,
      });
    if (text !== '') inspect?.(text);
    return answer;
  }

  /**
   * The body of a GET as it comes, for as long as it takes; nothing of an answer but 2xx.
   * @throws Refused, Unreachable; when it breaks off, too.
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
      throw new Unreachable(`${this.#base} did not answer to the end: ${reason(error)}`);
    }
  }

  async #fetch(url: URL, limit: number, init: RequestInit) {
    try {
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(limit) });
      const location = response.headers.get('location') ?? '';
      return { status: response.status, location, text: await response.text() };
    } catch (error) {
      throw new Unreachable(`${this.#base} was not reached: ${reason(error)}`);
    }
  }
}

/** The JSON of a body, null for none, undefined for what is not JSON. */
function parse(text: string): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What the network said: `fetch` hides it in the cause, or in each of several when a name has addresses. */
function reason(error: unknown): string {
  const { cause, name } = error instanceof Error ? error : { cause: undefined, name: '' };
  if (name === 'TimeoutError') return 'no answer in time';
  const first = cause instanceof AggregateError ? cause.errors[0] : cause;
  if (first instanceof Error) return first.message || first.name;
  return error instanceof Error ? error.message : String(error);
}
