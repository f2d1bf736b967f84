// Sends one delivery over the wire and says what came of it, whatever the receiver does: one absolute
// deadline over waiting, look-up, connect, TLS, headers and body; no redirects; nothing decompressed;
// a bounded answer. `send` never throws. Retries, signatures and records are others' business.

import type { Dispatcher } from 'undici';
import {
  type AddressPolicy,
  cacheAnswers,
  parseTarget,
  type Resolver,
  systemResolver,
  type Target,
} from '../../egress/address-guard.ts';
import { type ConnectOptions, createConnect, DeliveryError } from '../../egress/connect.ts';
import { type Connection, ConnectionPool } from './connections.ts';
import {
  type Attempt,
  deliveryErrorOf,
  KEPT_BYTES,
  newAttempt,
  outcomeOf,
  type SendOutcome,
  timeRanOut,
} from './outcome.ts';

export type { SendOutcome } from './outcome.ts';

const SECOND = 1000;
/** As much of an answer as is read; a longer one costs the connection, not the delivery. */
const READ_BYTES = 64 * 1024;
/** 1xx answers before the final one; more is a flood. */
const MAX_INFORMATIONAL = 16;

export interface SenderOptions {
  /** Fixed for the sender's life: sockets are never shared across policies. */
  policy: AddressPolicy;
  /** Default: the machine's own resolution, see `systemResolver`. */
  resolver?: Resolver;
  /** Milliseconds from `send` to the last byte of the answer. */
  timeoutMs?: number;
  /** More than one receiver gets at once, so that one that hangs does not hold up others of its host. */
  maxConnectionsPerOrigin?: number;
  userAgent?: string;
  /** Milliseconds for which a name's addresses are remembered. */
  dnsCacheMs?: number;
  /** Milliseconds after which a kept-alive socket is not used again, so that its name is looked up anew. */
  connectionMaxAgeMs?: number;
  /** Certificates to trust instead of the public ones, PEM. */
  ca?: string;
  connectTcp?: ConnectOptions['connectTcp'];
  /** The true time, ms, for a `Retry-After` that is a date; the machine's unless given. */
  now?: () => number;
}

export interface SendRequest {
  url: string;
  /**
   * Names in any case. `content-type` is JSON unless given; `host`, `user-agent` and `accept-encoding` are
   * the sender's own.
   */
  headers: Readonly<Record<string, string>>;
  /** Sent byte for byte: what was signed. */
  body: string | Buffer;
  /** When it must be over although the sender has more patience, by `performance.now()`. */
  until?: number;
}

export class WebhookSender {
  readonly #policy: AddressPolicy;
  readonly #now: () => number;
  /** The longest an attempt takes, ms. */
  readonly timeoutMs: number;
  readonly #userAgent: string;
  readonly #pool: ConnectionPool;
  readonly #inFlight = new Set<Promise<SendOutcome>>();
  #isClosed = false;

  constructor({
    policy,
    resolver = systemResolver(policy),
    timeoutMs = 15 * SECOND,
    maxConnectionsPerOrigin = 256,
    userAgent = 'BioLayer-Webhooks/1',
    dnsCacheMs = 5 * SECOND,
    connectionMaxAgeMs = 60 * SECOND,
    ca,
    connectTcp,
    now = Date.now,
  }: SenderOptions) {
    this.#policy = policy;
    this.#now = now;
    this.timeoutMs = timeoutMs;
    this.#userAgent = userAgent;
    this.#pool = new ConnectionPool({
      dial: createConnect({
        policy,
        resolver: cacheAnswers(resolver, { ttlMs: dnsCacheMs, timeoutMs }),
        ca,
        connectTcp,
      }),
      maxPerOrigin: maxConnectionsPerOrigin,
      maxAgeMs: connectionMaxAgeMs,
    });
  }

  /**
   * POSTs a body. Never throws: whatever happens is in the outcome, within `timeoutMs`. Nothing goes out when that
   * is over, not even where the process was frozen in between and no timer has told it so yet.
   *
   * When the peer hangs up on a kept-alive socket before any of an answer, it closed it while idle, and
   * the request goes out once more on a new socket within the same deadline. Should the peer have read it
   * after all, it sees the same `webhook-id` twice, as on any retry.
   */
  async send(request: SendRequest): Promise<SendOutcome> {
    const sending = this.#send(request);
    this.#inFlight.add(sending);
    try {
      return await sending;
    } finally {
      this.#inFlight.delete(sending);
    }
  }

  /** Refuses what comes now, waits for what is in flight (each has its deadline), closes all sockets. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#inFlight);
    await this.#pool.close();
  }

  async #send(request: SendRequest): Promise<SendOutcome> {
    const attempt = newAttempt(this.timeoutMs, request.until);
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(timeRanOut(attempt)), attempt.endsAt - attempt.startedAt);
    try {
      if (this.#isClosed) throw new DeliveryError('connect', 'The sender is shutting down.');
      const target = parseTarget(request.url, this.#policy);
      if (!target.ok) throw new DeliveryError(target.errorClass, target.reason);
      await this.#exchangeWith(target, request, attempt, deadline.signal);
      return outcomeOf(attempt, null, this.#now());
    } catch (error) {
      return outcomeOf(attempt, deliveryErrorOf(error), this.#now());
    } finally {
      clearTimeout(timer);
    }
  }

  async #exchangeWith(
    target: Target,
    request: SendRequest,
    attempt: Attempt,
    signal: AbortSignal,
  ): Promise<void> {
    const dispatched = this.#requestTo(target, request);
    let connection = await this.#pool.acquire(target, attempt.trace, signal);
    for (;;) {
      try {
        const isWhole = await exchange(connection, dispatched, attempt, signal);
        this.#pool.release(connection, isWhole);
        return;
      } catch (error) {
        const failure = deliveryErrorOf(error);
        const hasAnswer = attempt.status !== null || attempt.informational > 0;
        if (failure.errorClass !== 'reset' || connection.uses === 0 || hasAnswer || signal.aborted) {
          this.#pool.release(connection, false);
          throw failure;
        }
        connection = await this.#pool.replace(connection, target, attempt.trace, signal);
      }
    }
  }

  #requestTo({ url }: Target, { headers, body }: SendRequest): Dispatcher.DispatchOptions {
    const merged: Record<string, string> = { 'content-type': 'application/json' };
    for (const [name, value] of Object.entries(headers)) merged[name.toLowerCase()] = value;
    // Like SNI, the host comes from the URL that was judged and from nowhere else.
    delete merged.host;
    merged['user-agent'] = this.#userAgent;
    merged['accept-encoding'] = 'identity';
    return { path: url.pathname + url.search, method: 'POST', headers: merged, body };
  }
}

/**
 * One request and its answer on one connection. Resolves to whether the answer was read to its end, so
 * that the connection may be used again; rejects when it broke off or time ran out. The connection is then
 * released as not reusable, which destroys it and whatever is left of the exchange.
 */
async function exchange(
  { client, address }: Connection,
  request: Dispatcher.DispatchOptions,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<boolean> {
  signal.throwIfAborted();
  if (performance.now() >= attempt.endsAt) throw timeRanOut(attempt);
  attempt.address = address;
  attempt.trace.stage = 'before the answer began';
  attempt.sentAt = performance.now();
  return await new Promise<boolean>((resolve, reject) => {
    const end = () => {
      signal.removeEventListener('abort', abort);
      attempt.endedAt = performance.now();
    };
    const fail = (error: unknown) => {
      end();
      reject(error);
    };
    const abort = () => fail(signal.reason);
    signal.addEventListener('abort', abort, { once: true });

    client.dispatch(request, {
      onRequestStart: () => {},
      onResponseStart: (controller, status, headers) => {
        if (status < 200) {
          attempt.informational += 1;
          if (attempt.informational > MAX_INFORMATIONAL) {
            controller.abort(new DeliveryError('protocol', 'The receiver sent a flood of 1xx answers.'));
          }
          return;
        }
        attempt.status = status;
        attempt.headersAt = performance.now();
        attempt.headers = flatten(headers);
        attempt.trace.stage = 'inside the body of the answer';
      },
      onResponseData: (controller, chunk) => {
        if (attempt.bytes < KEPT_BYTES) attempt.chunks.push(chunk);
        attempt.bytes += chunk.length;
        if (attempt.bytes <= READ_BYTES) return;
        end();
        resolve(false);
        controller.abort(new DeliveryError('protocol', 'The answer is longer than what is read.'));
      },
      onResponseEnd: () => {
        end();
        resolve(true);
      },
      onResponseError: (_controller, error) => fail(error),
    });
  });
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}
