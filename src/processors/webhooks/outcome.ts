// The outcome of one attempt, as it is stored and shown. Errors of undici and Node are mapped to stable classes, and
// the response body is cut to what is kept.

import { DeliveryError, type ErrorClass, type Trace } from '../../egress/connect.ts';
import { parseRetryAfter } from '../../state/webhooks/backoff.ts';

/** Bytes of UTF-8 that are kept of a response body. */
export const KEPT_BYTES = 4 * 1024;

interface Phases extends Omit<Trace, 'stage'> {
  /** From the request's start on its socket to the response headers. */
  firstByteMs: number | null;
  /** From the response headers to the end of the response. */
  bodyMs: number | null;
}

/** All times in milliseconds, to a tenth. */
export interface SendOutcome {
  /** A 2xx response that was read to its end, or to the read limit. */
  ok: boolean;
  /** Whether any byte of the request may have been sent. */
  isSent: boolean;
  status: number | null;
  errorClass: ErrorClass | null;
  /** A sentence for the operator of the receiver. Never names a refused address. */
  error: string | null;
  /** The first 4 KiB of the response body as UTF-8; invalid bytes become U+FFFD. */
  body: string;
  /** Names in lower case; repeated headers are joined by commas. */
  responseHeaders: Record<string, string>;
  /** The `Retry-After` of a failed response, at most 24 h. */
  retryAfterMs: number | null;
  /** Address of the peer. */
  address: string | null;
  ms: number;
  phases: Phases;
}

/** An attempt in progress. Times are of `performance.now()`. */
export interface Attempt {
  readonly startedAt: number;
  /** When the attempt times out. */
  readonly endsAt: number;
  readonly trace: Trace;
  address: string | null;
  sentAt: number | null;
  headersAt: number | null;
  endedAt: number | null;
  status: number | null;
  headers: Record<string, string>;
  /** 1xx responses so far. */
  informational: number;
  readonly chunks: Buffer[];
  /** Bytes of the response body so far. */
  bytes: number;
}

/** An attempt that starts now and ends after `timeoutMs`, or at `until` if that is earlier. */
export function newAttempt(timeoutMs: number, until = Number.POSITIVE_INFINITY): Attempt {
  const startedAt = performance.now();
  return {
    startedAt,
    endsAt: Math.min(startedAt + timeoutMs, until),
    trace: { stage: 'at the start', queueMs: null, dnsMs: null, connectMs: null, tlsMs: null, reused: false },
    address: null,
    sentAt: null,
    headersAt: null,
    endedAt: null,
    status: null,
    headers: {},
    informational: 0,
    chunks: [],
    bytes: 0,
  };
}

/** The outcome of an attempt. @param failure null for none. @param now the current time, ms. */
export function outcomeOf(attempt: Attempt, failure: DeliveryError | null, now: number): SendOutcome {
  const { status, headers, sentAt, headersAt, endedAt, trace } = attempt;
  const verdict = judge(status, failure);
  return {
    ok: verdict === null,
    isSent: sentAt !== null,
    status,
    errorClass: verdict?.errorClass ?? null,
    error: verdict?.message ?? null,
    body: textOf(attempt),
    responseHeaders: headers,
    retryAfterMs: verdict === null ? null : parseRetryAfter(headers['retry-after'], now),
    address: attempt.address,
    ms: tenths(performance.now() - attempt.startedAt),
    phases: {
      queueMs: tenths(trace.queueMs),
      dnsMs: tenths(trace.dnsMs),
      connectMs: tenths(trace.connectMs),
      tlsMs: tenths(trace.tlsMs),
      firstByteMs: tenths(between(sentAt, headersAt)),
      bodyMs: tenths(between(headersAt, endedAt)),
      reused: trace.reused,
    },
  };
}

/** The error of an attempt that reached its deadline. */
export function timeRanOut({ startedAt, endsAt, trace }: Attempt): DeliveryError {
  const ms = Math.max(0, Math.round(endsAt - startedAt));
  return new DeliveryError('timeout', `No complete response within ${ms} ms: time ran out ${trace.stage}.`);
}

/** An error status decides, however the body ended; a 2xx only counts when the response is complete. */
function judge(status: number | null, failure: DeliveryError | null): DeliveryError | null {
  if (status === null || (status >= 200 && status < 300)) return failure;
  if (status >= 300 && status < 400) {
    return new DeliveryError('redirect', `The receiver answered ${status}; redirects are not followed.`);
  }
  return new DeliveryError('http_status', `The receiver answered ${status}.`);
}

/** The peer or this process closed the connection. */
const RESET_CODES = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_ABORTED',
  'UND_ERR_DESTROYED',
]);

/** Maps an error of an exchange to its class. Errors of look-up, connect and TLS handshake are mapped already. */
export function deliveryErrorOf(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';

  if (code.startsWith('ERR_SSL') || code === 'EPROTO') {
    return new DeliveryError('tls', `The receiver broke off TLS (${code}).`);
  }
  if (code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new DeliveryError('protocol', 'The response headers are longer than 16 KiB.');
  }
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
    return new DeliveryError('protocol', 'The response body is not as long as Content-Length says.');
  }
  // undici's parser errors carry no code; its "bad" sockets upgrade, or respond without a request.
  const isCutShort = name === 'HTTPParserError' && message.includes('Invalid EOF state');
  const isBadResponse =
    name === 'HTTPParserError' || (code === 'UND_ERR_SOCKET' && message.startsWith('bad '));
  if (isCutShort || (RESET_CODES.has(code) && !isBadResponse)) {
    return new DeliveryError('reset', 'The receiver closed the connection before the response was complete.');
  }
  if (isBadResponse) {
    const [, detail = message] = /\(([^()]+)\)$/.exec(message) ?? [];
    return new DeliveryError('protocol', `The response is not valid HTTP/1.1 (${detail}).`);
  }
  return new DeliveryError('protocol', `The request could not be made (${message}).`);
}

/** For whole texts only, after which nothing is left in it. */
const WHOLE = new TextDecoder('utf-8', { ignoreBOM: true });

function textOf({ chunks, bytes }: Attempt): string {
  if (bytes === 0) return '';
  const kept = Buffer.concat(chunks).subarray(0, KEPT_BYTES);
  // With `stream`, a character that the cut has split is omitted instead of becoming U+FFFD.
  const text =
    bytes > KEPT_BYTES
      ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(kept, { stream: true })
      : WHOLE.decode(kept);
  if (text.length * 3 <= KEPT_BYTES) return text;
  const { read } = new TextEncoder().encodeInto(text, new Uint8Array(KEPT_BYTES));
  return text.slice(0, read);
}

function between(from: number | null, to: number | null): number | null {
  return from === null || to === null ? null : to - from;
}

function tenths(ms: number): number;
function tenths(ms: number | null): number | null;
function tenths(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 10) / 10;
}
