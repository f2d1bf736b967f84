// Pools the sockets of deliveries: a bounded number per origin, kept open for the next delivery. There is one undici
// Client per socket instead of an Agent, because an Agent neither aborts a request that waits for a socket nor reports
// the address of the peer.
//
// A kept-alive socket is reused without a look-up for at most `maxAgeMs`. This is safe even if the name now resolves to
// an internal address: the socket's peer was checked when it was opened. A pool has one address policy for its lifetime.

import type { Socket } from 'node:net';
import { Client } from 'undici';
import type { Target } from '../../egress/address-guard.ts';
import { type Connect, DeliveryError, type Trace } from '../../egress/connect.ts';

export interface Connection {
  readonly client: Client;
  readonly socket: Socket;
  /** Address of the peer, as the operating system reports it. */
  readonly address: string;
  readonly bornAt: number;
  readonly origin: Origin;
  /** Requests before the current one. */
  uses: number;
  isIdle: boolean;
  isRetired: boolean;
}

interface Origin {
  readonly name: string;
  /** Sockets that are open or being opened; never more than the limit. */
  open: number;
  /** The most recently used connection is last, and is reused first. */
  readonly idle: Connection[];
  /** Waiting requests, first in, first out. Each is given a connection, or null for the right to open one. */
  readonly waiters: Set<(given: Connection | null) => void>;
}

export interface PoolOptions {
  connect: Connect;
  maxPerOrigin: number;
  /** Milliseconds after which a socket is not reused, so that its name is looked up again. */
  maxAgeMs: number;
}

/** Most idle sockets of all origins together; beyond it, the one idle longest is closed. */
const MAX_IDLE = 1024;
/** Most servers keep an idle socket for longer. A shorter time in the server's `Keep-Alive` header is respected. */
const IDLE_MS = 10_000;
const MAX_HEADER_BYTES = 16 * 1024;

export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #origins = new Map<string, Origin>();
  /** Idle connections of all origins, the one idle longest first. */
  readonly #idle = new Set<Connection>();

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** The idle connection to the target's origin that was used last; null for none. It must be returned with `release`. */
  reuse(target: Target, trace: Trace): Connection | null {
    const kept = this.#takeIdle(this.#originOf(target));
    if (kept !== null) trace.reused = true;
    return kept;
  }

  /**
   * A connection to the target's origin: an idle one, a new one, or the next that is released.
   * It must be returned with `release`.
   * @throws DeliveryError, or the signal's reason.
   */
  async acquire(target: Target, trace: Trace, signal: AbortSignal): Promise<Connection> {
    const idle = this.reuse(target, trace);
    if (idle !== null) return idle;
    const origin = this.#originOf(target);
    let kept: Connection | null = null;
    if (origin.open < this.#options.maxPerOrigin) origin.open += 1;
    else {
      const startedAt = performance.now();
      trace.stage = 'while waiting for a free connection';
      kept = await waitTurn(origin, signal).finally(() => {
        trace.queueMs = performance.now() - startedAt;
      });
    }
    trace.reused = kept !== null;
    return kept ?? (await this.#open(origin, target, trace, signal));
  }

  /** Takes a connection back; one that cannot be used again is closed. */
  release(connection: Connection, isReusable: boolean): void {
    connection.uses += 1;
    if (!isReusable || !this.#isFit(connection)) {
      void this.#retire(connection);
      return;
    }
    const [waiter] = connection.origin.waiters;
    if (waiter !== undefined) {
      waiter(connection);
      return;
    }
    connection.isIdle = true;
    connection.origin.idle.push(connection);
    this.#idle.add(connection);
    const [oldest] = this.#idle.size > MAX_IDLE ? this.#idle : [];
    if (oldest !== undefined) void this.#retire(oldest);
  }

  /**
   * Replaces a connection whose peer had already closed it.
   * @throws DeliveryError, or the signal's reason.
   */
  async replace(stale: Connection, target: Target, trace: Trace, signal: AbortSignal): Promise<Connection> {
    stale.isRetired = true;
    void destroy(stale);
    trace.reused = false;
    return await this.#open(stale.origin, target, trace, signal);
  }

  /** Closes idle connections. Connections in use must be released as not reusable. */
  async close(): Promise<void> {
    await Promise.all([...this.#idle].map((connection) => this.#retire(connection)));
  }

  #originOf({ url }: Target): Origin {
    const known = this.#origins.get(url.origin);
    if (known !== undefined) return known;
    const origin: Origin = { name: url.origin, open: 0, idle: [], waiters: new Set() };
    this.#origins.set(url.origin, origin);
    return origin;
  }

  #isFit({ socket, bornAt }: Connection): boolean {
    return !socket.destroyed && performance.now() - bornAt < this.#options.maxAgeMs;
  }

  #takeIdle(origin: Origin): Connection | null {
    for (let kept = origin.idle.at(-1); kept !== undefined; kept = origin.idle.at(-1)) {
      if (this.#isFit(kept)) {
        this.#leaveIdle(kept);
        return kept;
      }
      void this.#retire(kept);
    }
    return null;
  }

  #leaveIdle(connection: Connection): void {
    connection.isIdle = false;
    this.#idle.delete(connection);
    const { idle } = connection.origin;
    idle.splice(idle.lastIndexOf(connection), 1);
  }

  async #retire(connection: Connection): Promise<void> {
    if (connection.isRetired) return;
    connection.isRetired = true;
    if (connection.isIdle) this.#leaveIdle(connection);
    this.#freeSlot(connection.origin);
    await destroy(connection);
  }

  #freeSlot(origin: Origin): void {
    const [waiter] = origin.waiters;
    if (waiter !== undefined) {
      waiter(null);
      return;
    }
    origin.open -= 1;
    if (origin.open === 0) this.#origins.delete(origin.name);
  }

  async #open(origin: Origin, target: Target, trace: Trace, signal: AbortSignal): Promise<Connection> {
    try {
      const { socket, address } = await this.#options.connect(target, trace, signal);
      const connection: Connection = {
        client: clientOf(origin.name, socket),
        socket,
        address,
        bornAt: performance.now(),
        origin,
        uses: 0,
        isIdle: false,
        isRetired: false,
      };
      // While the connection is in use, its request fails by itself.
      connection.client.on('disconnect', () => {
        if (connection.isIdle) void this.#retire(connection);
      });
      return connection;
    } catch (error) {
      this.#freeSlot(origin);
      throw error;
    }
  }
}

/** Destroys socket and client: a client that was never used does not know its socket yet. */
async function destroy({ client, socket }: Connection): Promise<void> {
  socket.destroy();
  await client.destroy();
}

/** A client bound to one socket. By default undici would reconnect without the address check. */
function clientOf(origin: string, socket: Socket): Client {
  let unused: Socket | null = socket;
  return new Client(origin, {
    connect: (_options, callback) => {
      const given = unused;
      unused = null;
      // Not at once: undici loses the request that made it connect when the answer is synchronous.
      process.nextTick(() => {
        if (given === null || given.destroyed) {
          callback(new DeliveryError('reset', 'The receiver closed the connection.'), null);
        } else {
          callback(null, given);
        }
      });
    },
    pipelining: 1,
    maxHeaderSize: MAX_HEADER_BYTES,
    // undici's timers restart with every byte received; the sender has one absolute deadline instead.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: IDLE_MS,
    keepAliveMaxTimeout: IDLE_MS,
  });
}

async function waitTurn(origin: Origin, signal: AbortSignal): Promise<Connection | null> {
  signal.throwIfAborted();
  return await new Promise<Connection | null>((resolve, reject) => {
    const take = (given: Connection | null) => {
      origin.waiters.delete(take);
      signal.removeEventListener('abort', abort);
      resolve(given);
    };
    const abort = () => {
      origin.waiters.delete(take);
      reject(signal.reason);
    };
    origin.waiters.add(take);
    signal.addEventListener('abort', abort, { once: true });
  });
}
