// Requests: credential, idempotency keys, retries and time limits, around the generated client. Answers are read within the
// attempt, so that one that breaks off is retried like one that never came.

import { ApiError, ConnectionError, retryAfter, TimeoutError } from './errors.ts';
import {
  type ClientConfig,
  createClient,
  TimeoutError as GeneratedTimeoutError,
  OPERATIONS,
  type OperationId,
  type Ops,
  type RetryContext,
  type ServerSentEvent,
} from './generated/client.ts';

export interface BioLayerOptions {
  /** An API key `blk_…`, a worker token `blw_…` or an access token; default: `BIOLAYER_API_KEY`. A function is asked for
   * each request; null sends none. */
  apiKey?: string | (() => string | Promise<string>) | null | undefined;
  /** Where the API is; default: `BIOLAYER_URL`, or `http://127.0.0.1:3000`. */
  baseUrl?: string | undefined;
  /** How often a request is repeated after a broken connection, 408, 429 or 5xx; default 3. */
  maxRetries?: number | undefined;
  /** Time limit of one attempt, ms; default 60 000. */
  timeoutMs?: number | undefined;
  /** Headers of every request. */
  headers?: Record<string, string> | undefined;
  /** The fetch function to use; default: the global one. */
  fetch?: typeof fetch | undefined;
}

export interface RequestOptions {
  /** Ends the request and its retries. */
  signal?: AbortSignal | undefined;
  /** Time limit of one attempt, ms. */
  timeoutMs?: number | undefined;
  maxRetries?: number | undefined;
  /** Repeating a request with the same key and body has no second effect; default: a new UUID for each call. */
  idempotencyKey?: string | undefined;
  headers?: Record<string, string> | undefined;
  /** Query parameters of a request that also has a body. */
  query?: object | undefined;
}

/** What one call of an operation sends. */
export interface CallInput {
  path?: object;
  query?: object;
  body?: unknown;
}

/** Operations that answer with a file: how it is read. A stream has no time limit unless the caller gives one. */
const FILES: Partial<Record<OperationId, 'blob' | 'stream'>> = {
  downloadEvidence: 'blob',
  downloadUploadedEvidence: 'blob',
  exportAudit: 'stream',
};

const DEFAULT_URL = 'http://127.0.0.1:3000';
const DEFAULT_TIMEOUT = 60_000;
const DEFAULT_RETRIES = 3;
/** First pause before a retry; it doubles with each, ms. */
const RETRY_DELAY = 500;
/** Longest `Retry-After` that is waited for, seconds. */
const LONGEST_WAIT = 30;

type GeneratedMethod = (
  args: object,
  init: object,
) => Promise<{ data: unknown; error: unknown; response: Response }>;
type GeneratedStream = (args: object, init: object) => AsyncGenerator<ServerSentEvent<unknown>>;

export class Transport {
  readonly baseUrl: string;
  readonly #methods: Record<OperationId, GeneratedMethod | GeneratedStream>;
  readonly #timeoutMs: number;

  constructor(options: BioLayerOptions) {
    const environment = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process
      ?.env;
    const apiKey = options.apiKey === undefined ? environment?.BIOLAYER_API_KEY : options.apiKey;
    if (apiKey === undefined || apiKey === '')
      throw new TypeError('apiKey is missing: pass it to new BioLayer({ apiKey }), or set BIOLAYER_API_KEY.');
    this.baseUrl = baseUrlOf(options.baseUrl ?? environment?.BIOLAYER_URL ?? DEFAULT_URL);
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT;
    const config: ClientConfig = {
      serverUrl: this.baseUrl,
      errorMode: 'result',
      clientHeader: false,
      idempotencyKey: true,
      fetch: readingWhole(options.fetch ?? globalThis.fetch.bind(globalThis)),
      retry: {
        retries: options.maxRetries ?? DEFAULT_RETRIES,
        retryDelay: RETRY_DELAY,
        retryOn: isRetriable,
      },
      ...(options.headers !== undefined && { headers: options.headers }),
      ...(apiKey !== null && { auth: { bearer: apiKey } }),
    };
    this.#methods = createClient<Ops>(OPERATIONS, config) as unknown as Record<
      OperationId,
      GeneratedMethod | GeneratedStream
    >;
  }

  /** Calls an operation. @returns the body of the answer @throws ApiError, ConnectionError, TimeoutError, or the reason of the signal */
  async call(operation: OperationId, input: CallInput, options: RequestOptions = {}): Promise<unknown> {
    const parseAs = FILES[operation];
    const timeout = options.timeoutMs ?? (parseAs === 'stream' ? 0 : this.#timeoutMs);
    const method = this.#methods[operation] as GeneratedMethod;
    let answer: Awaited<ReturnType<GeneratedMethod>>;
    try {
      answer = await method(
        { ...input, ...(options.query !== undefined && { query: options.query }) },
        { ...initOf(options), timeout, ...(parseAs !== undefined && { parseAs }) },
      );
    } catch (error) {
      throw this.#explained(error, options.signal, timeout);
    }
    const { response, data, error } = answer;
    const location = response.headers.get('location');
    if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400 && location))
      throw notTheApi(
        response,
        'redirected',
        `${this.baseUrl} redirects to ${location}; use that as the URL.`,
      );
    if (!response.ok) throw new ApiError(response, error);
    if (parseAs === undefined && response.status !== 204 && !isJson(response))
      throw notTheApi(
        response,
        'not_json',
        `${this.baseUrl} does not respond with JSON. Is it the URL of the API?`,
      );
    return data;
  }

  /** Opens a stream of events; it ends when the server ends it. @throws like `call` */
  async *stream(
    operation: OperationId,
    input: CallInput,
    options: RequestOptions = {},
  ): AsyncGenerator<ServerSentEvent<unknown>> {
    const method = this.#methods[operation] as GeneratedStream;
    try {
      yield* method(input, { ...initOf(options), reconnect: false });
    } catch (error) {
      throw this.#explained(error, options.signal, this.#timeoutMs);
    }
  }

  #explained(error: unknown, signal: AbortSignal | undefined, timeout: number): unknown {
    if (signal?.aborted) return signal.reason;
    if (error instanceof GeneratedTimeoutError) return new TimeoutError(this.baseUrl, timeout, error);
    if (isGeneratedApiError(error))
      return new ApiError(
        new Response(null, { status: error.status, statusText: error.statusText }),
        error.body,
      );
    return new ConnectionError(this.baseUrl, error);
  }
}

function isJson(response: Response): boolean {
  return response.headers.get('content-type')?.includes('json') === true;
}

/** The error for an answer of another server. */
function notTheApi(response: Response, code: string, detail: string): ApiError {
  return new ApiError(response, { type: 'about:blank', title: code, status: response.status, code, detail });
}

function isGeneratedApiError(
  error: unknown,
): error is Error & { status: number; statusText: string; body: unknown } {
  return error instanceof Error && error.name === 'ApiError' && 'status' in error && 'body' in error;
}

function initOf({ signal, maxRetries, idempotencyKey, headers }: RequestOptions): object {
  return {
    ...(signal !== undefined && { signal }),
    ...(maxRetries !== undefined && { retry: { retries: maxRetries } }),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    ...(headers !== undefined && { headers }),
  };
}

function baseUrlOf(text: string): string {
  if (!URL.canParse(text)) throw new TypeError(`baseUrl is no URL: ${text}. Example: ${DEFAULT_URL}`);
  return text.replace(/\/+$/, '');
}

/** Whether to repeat a request. POST and PATCH carry an idempotency key, so repeating them has no second effect. */
function isRetriable({ response }: RetryContext): boolean {
  if (response === undefined) return true;
  const wait = retryAfter(response);
  if (wait !== null && wait > LONGEST_WAIT) return false;
  // 409 with Retry-After: an earlier attempt of the same request is still running.
  if (response.status === 409) return wait !== null;
  return response.status === 408 || response.status === 429 || response.status >= 500;
}

/**
 * A fetch that reads the whole answer before it resolves, except streams. It follows no redirect, which would send the
 * credential to another server or turn a POST into a GET.
 */
function readingWhole(send: typeof fetch): typeof fetch {
  return async (input, init) => {
    const response = await send(input, { ...init, redirect: 'manual' });
    const [type] = response.headers.get('content-type')?.split(';') ?? [];
    if (type === 'text/event-stream' || type === 'application/x-ndjson') return response;
    if (response.type === 'opaqueredirect') return response;
    const body = await response.arrayBuffer();
    const { status, statusText, headers } = response;
    return new Response(body.byteLength === 0 ? null : body, { status, statusText, headers });
  };
}
