// Sends one request to a receiver and returns the outcome, whatever the receiver does: one absolute deadline over
// queueing, look-up, connect, TLS, headers and body; no redirects; no decompression; a bounded response. `send` never
// throws. Retries, signatures and records are handled elsewhere.

import { LRUCache } from 'lru-cache';
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
import { Deadline } from './deadline.ts';
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
/** Bytes read of a response; a longer one costs the connection, not the delivery. */
const READ_BYTES = 64 * 1024;
/** Most 1xx responses before the final one. */
const MAX_INFORMATIONAL = 16;
/** URLs whose judgement is kept: it depends on nothing but the URL and the policy. */
const TARGETS_KEPT = 1000;

export interface SenderOptions {
  /** Fixed for the lifetime of the sender: sockets are never shared across policies. */
  policy: AddressPolicy;
  /** Default: the resolver of the machine, see `systemResolver`. */
  resolver?: Resolver;
  /** Milliseconds from `send` to the last byte of the response. */
  timeoutMs?: number;
  /** More than the concurrency of one receiver, so that a receiver that hangs does not block others on its host. */
  maxConnectionsPerOrigin?: number;
  userAgent?: string;
  /** Milliseconds for which a name's addresses are cached. */
  dnsCacheMs?: number;
  /** Milliseconds after which a kept-alive socket is not reused, so that its name is looked up again. */
  connectionMaxAgeMs?: number;
  /** Certificates to trust instead of the public ones, PEM. */
  ca?: string;
  connectTcp?: ConnectOptions['connectTcp'];
  /** The current time, ms, for a `Retry-After` that is a date; by default the machine's. */
  now?: () => number;
}

export interface SendRequest {
  url: string;
  /**
   * Names in any case. `content-type` is JSON unless given; `host`, `user-agent` and `accept-encoding` are
   * the sender's own.
   */
  headers: Readonly<Record<string, string>>;
  /** The signed bytes, sent unchanged. */
  body: string | Buffer;
  /** An earlier deadline than the sender's own, by `performance.now()`. */
  until?: number;
}

export class WebhookSender {
  readonly #policy: AddressPolicy;
  readonly #now: () => number;
  /** The longest an attempt takes, ms. */
  readonly timeoutMs: number;
  readonly #userAgent: string;
  readonly #pool: ConnectionPool;
  readonly #targets = new LRUCache<string, ReturnType<typeof parseTarget>>({ max: TARGETS_KEPT });
  /** Requests in progress, and what is told when there are none. */
  #inFlight = 0;
  #onIdle: (() => void) | null = null;
  #closing: Promise<void> | null = null;

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
      connect: createConnect({
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
   * POSTs a body. Never throws: the outcome holds any error, and arrives within `timeoutMs`. Nothing is sent after the
   * deadline, even if the process was suspended and its timer has not fired yet.
   *
   * When the peer closes a kept-alive socket before it sends any byte of a response, it most likely closed the socket
   * while idle, so the request is sent once more on a new socket within the same deadline. If the peer had read it
   * after all, it sees the same `webhook-id` twice, as on any retry.
   */
  async send(request: SendRequest): Promise<SendOutcome> {
    const attempt = newAttempt(this.timeoutMs, request.until);
    const deadline = new Deadline(attempt.endsAt - attempt.startedAt, () => timeRanOut(attempt));
    this.#inFlight += 1;
    try {
      if (this.#closing !== null) throw new DeliveryError('connect', 'The sender is shutting down.');
      const target = this.#targetOf(request.url);
      if (!target.ok) throw new DeliveryError(target.errorClass, target.reason);
      await this.#exchangeWith(target, request, attempt, deadline);
      return outcomeOf(attempt, null, this.#now());
    } catch (error) {
      return outcomeOf(attempt, deliveryErrorOf(error), this.#now());
    } finally {
      deadline.stop();
      this.#inFlight -= 1;
      if (this.#inFlight === 0) this.#onIdle?.();
    }
  }

  /** Refuses new requests, waits for those in flight (each has its deadline), then closes all sockets. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    if (this.#inFlight > 0)
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    await this.#pool.close();
  }

  #targetOf(url: string): ReturnType<typeof parseTarget> {
    const known = this.#targets.get(url);
    if (known !== undefined) return known;
    const target = parseTarget(url, this.#policy);
    this.#targets.set(url, target);
    return target;
  }

  async #exchangeWith(
    target: Target,
    request: SendRequest,
    attempt: Attempt,
    deadline: Deadline,
  ): Promise<void> {
    const { trace } = attempt;
    const dispatched = this.#requestTo(target, request);
    let connection =
      this.#pool.reuse(target, trace) ?? (await this.#pool.acquire(target, trace, deadline.signal));
    for (;;) {
      try {
        const isWhole = await exchange(connection, dispatched, attempt, deadline);
        this.#pool.release(connection, isWhole);
        return;
      } catch (error) {
        const failure = deliveryErrorOf(error);
        const hasAnswer = attempt.status !== null || attempt.informational > 0;
        if (failure.errorClass !== 'reset' || connection.uses === 0 || hasAnswer || deadline.hasPassed) {
          this.#pool.release(connection, false);
          throw failure;
        }
        connection = await this.#pool.replace(connection, target, trace, deadline.signal);
      }
    }
  }

  #requestTo({ url }: Target, { headers, body }: SendRequest): Dispatcher.DispatchOptions {
    const merged: Record<string, string> = { 'content-type': 'application/json' };
    for (const name of Object.keys(headers)) merged[name.toLowerCase()] = headers[name] ?? '';
    // Like SNI, the host always comes from the URL that was checked.
    delete merged.host;
    merged['user-agent'] = this.#userAgent;
    merged['accept-encoding'] = 'identity';
    return { path: url.pathname + url.search, method: 'POST', headers: merged, body };
  }
}

/**
 * One request and its response on one connection. Resolves to whether the response was read to its end, so that the
 * connection may be reused. Rejects when the exchange failed or the deadline passed; the caller then releases the
 * connection as not reusable, which destroys it.
 */
async function exchange(
  { client, address }: Connection,
  request: Dispatcher.DispatchOptions,
  attempt: Attempt,
  deadline: Deadline,
): Promise<boolean> {
  deadline.throwIfPassed();
  if (performance.now() >= attempt.endsAt) throw timeRanOut(attempt);
  attempt.address = address;
  attempt.trace.stage = 'before the response began';
  attempt.sentAt = performance.now();
  return await new Promise<boolean>((resolve, reject) => {
    const end = () => {
      deadline.onPassed = null;
      attempt.endedAt = performance.now();
    };
    const fail = (error: unknown) => {
      end();
      reject(error);
    };
    deadline.onPassed = fail;

    client.dispatch(request, {
      onRequestStart: () => {},
      onResponseStart: (controller, status, headers) => {
        if (status < 200) {
          attempt.informational += 1;
          if (attempt.informational > MAX_INFORMATIONAL) {
            controller.abort(new DeliveryError('protocol', 'The receiver sent too many 1xx responses.'));
          }
          return;
        }
        attempt.status = status;
        attempt.headersAt = performance.now();
        attempt.headers = flatten(headers);
        attempt.trace.stage = 'while the response body was being read';
      },
      onResponseData: (controller, chunk) => {
        if (attempt.bytes < KEPT_BYTES) attempt.chunks.push(chunk);
        attempt.bytes += chunk.length;
        if (attempt.bytes <= READ_BYTES) return;
        end();
        resolve(false);
        controller.abort(new DeliveryError('protocol', 'The response is longer than the read limit.'));
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
  const flat: Record<string, string> = {};
  for (const name of Object.keys(headers)) flat[name] = String(headers[name]);
  return flat;
}
