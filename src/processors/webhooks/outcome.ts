// What came of one attempt: turns what the wire did into the outcome that is stored and shown. Errors of
// undici and Node are sorted into stable classes here, and the answer is cut to what is kept.

import { DeliveryError, type ErrorClass, type Trace } from '../../egress/connect.ts';
import { parseRetryAfter } from '../../state/webhooks/backoff.ts';

/** As much of an answer as is kept, in bytes of UTF-8. */
export const KEPT_BYTES = 4 * 1024;

interface Phases extends Omit<Trace, 'stage'> {
  /** From the request's start on its socket to the answer's headers. */
  firstByteMs: number | null;
  /** From the answer's headers to its end. */
  bodyMs: number | null;
}

/** All times in milliseconds, to a tenth. */
export interface SendOutcome {
  /** A 2xx whose answer was read to its end, or to the limit of what is read. */
  ok: boolean;
  /** Whether any of it may have gone out. */
  isSent: boolean;
  status: number | null;
  errorClass: ErrorClass | null;
  /** A sentence for the person who runs the receiver. Names no address that was refused. */
  error: string | null;
  /** The first 4 KiB of the answer as UTF-8; what is not UTF-8 becomes U+FFFD. */
  body: string;
  /** Names in lower case; a header that repeats is joined by commas. */
  responseHeaders: Record<string, string>;
  /** What a failed answer's Retry-After asks for, at most 24 h. */
  retryAfterMs: number | null;
  /** The peer that was connected to. */
  address: string | null;
  ms: number;
  phases: Phases;
}

/** What is known of an attempt so far. Moments are those of `performance.now()`. */
export interface Attempt {
  readonly startedAt: number;
  /** When it is over, whatever came of it. */
  readonly endsAt: number;
  readonly trace: Trace;
  address: string | null;
  sentAt: number | null;
  headersAt: number | null;
  endedAt: number | null;
  status: number | null;
  headers: Record<string, string>;
  /** 1xx answers so far. */
  informational: number;
  readonly chunks: Buffer[];
  /** Bytes of the answer's body so far. */
  bytes: number;
}

/** An attempt that begins now and is over after `timeoutMs`, or at `until` where that comes first. */
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

/** The outcome of an attempt that ended with this failure, or with none. @param now the true time, ms. */
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

/** What an attempt fails with whose time is over. */
export function timeRanOut({ startedAt, endsAt, trace }: Attempt): DeliveryError {
  const ms = Math.max(0, Math.round(endsAt - startedAt));
  return new DeliveryError('timeout', `No complete answer within ${ms} ms: time ran out ${trace.stage}.`);
}

/** A refusal counts as what its status says, however its body ended; a 2xx only counts when it is whole. */
function judge(status: number | null, failure: DeliveryError | null): DeliveryError | null {
  if (status === null || (status >= 200 && status < 300)) return failure;
  if (status >= 300 && status < 400) {
    return new DeliveryError('redirect', `The receiver answered ${status}; redirects are not followed.`);
  }
  return new DeliveryError('http_status', `The receiver answered ${status}.`);
}

/** The peer hung up, or we did. */
const RESET_CODES = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'UND_ERR_SOCKET',
  'UND_ERR_ABORTED',
  'UND_ERR_DESTROYED',
]);

/** Sorts what broke an exchange. Errors of look-up, connect and handshake come sorted already. */
export function deliveryErrorOf(error: unknown): DeliveryError {
  if (error instanceof DeliveryError) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';

  if (code.startsWith('ERR_SSL') || code === 'EPROTO') {
    return new DeliveryError('tls', `The receiver broke off TLS (${code}).`);
  }
  if (code === 'UND_ERR_HEADERS_OVERFLOW') {
    return new DeliveryError('protocol', "The answer's headers are longer than 16 KiB.");
  }
  if (code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') {
    return new DeliveryError('protocol', 'The answer is not of the length that its headers say.');
  }
  // undici's parser errors carry no code; "bad" sockets are those that upgrade or answer out of turn.
  const isCutShort = name === 'HTTPParserError' && message.includes('Invalid EOF state');
  const isBadAnswer = name === 'HTTPParserError' || (code === 'UND_ERR_SOCKET' && message.startsWith('bad '));
  if (isCutShort || (RESET_CODES.has(code) && !isBadAnswer)) {
    return new DeliveryError('reset', 'The receiver closed the connection before the answer was complete.');
  }
  if (isBadAnswer) {
    const [, detail = message] = /\(([^()]+)\)$/.exec(message) ?? [];
    return new DeliveryError('protocol', `The answer is not valid HTTP/1.1 (${detail}).`);
  }
  return new DeliveryError('protocol', `The request could not be made (${message}).`);
}

function textOf({ chunks, bytes }: Attempt): string {
  if (bytes === 0) return '';
  const kept = Buffer.concat(chunks).subarray(0, KEPT_BYTES);
  // `stream` leaves out a character that the cut has split, instead of marking it as broken.
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(kept, { stream: bytes > KEPT_BYTES });
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
