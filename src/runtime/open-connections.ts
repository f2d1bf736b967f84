// The open connections of an HTTP server, so that it can shut down without waiting for those that have no request.
// Node's `closeIdleConnections` closes only connections that have had one: a connection that has sent nothing counts as
// active, and after `server.close` Node no longer applies the time limit for headers.

import type { Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';

/** How often idle connections are closed during a shutdown, ms. */
const EVERY = 50;

export class OpenConnections {
  readonly #server: Server;
  /** Number of requests in progress. */
  readonly #requests = new Map<Socket, number>();
  #isClosing = false;

  /** @param server before it listens. */
  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#requests.set(socket, 0);
      socket.once('close', () => this.#requests.delete(socket));
    });
    server.on('request', ({ socket }, response) => {
      if (this.#isClosing) response.shouldKeepAlive = false;
      this.#add(socket, 1);
      response.once('close', () => this.#add(socket, -1));
    });
  }

  /**
   * Stops listening and resolves when all connections are closed. For `lingerMs` a connection is closed only with a response, which
   * says so, because the client of an idle one may be sending a request; then each is closed as soon as it has no request.
   * @param headersMs how long a client may take to send the rest of a request's headers
   */
  async close({ headersMs, lingerMs }: { headersMs: number; lingerMs: number }): Promise<void> {
    this.#isClosing = true;
    // `close` of an HTTP server also closes idle connections at once.
    const closed = new Promise<void>((resolve) =>
      NetServer.prototype.close.call(this.#server, () => resolve()),
    );
    let idle: NodeJS.Timeout | undefined;
    const lingering = setTimeout(() => {
      this.#server.close();
      idle = setInterval(() => {
        this.#server.closeIdleConnections();
        this.#destroyUnused((socket) => socket.bytesRead === 0);
      }, EVERY);
    }, lingerMs);
    const slow = setTimeout(() => this.#destroyUnused(() => true), Math.max(headersMs, lingerMs));
    await closed;
    clearTimeout(lingering);
    clearInterval(idle);
    clearTimeout(slow);
  }

  #add(socket: Socket, count: number): void {
    const before = this.#requests.get(socket);
    if (before !== undefined) this.#requests.set(socket, before + count);
  }

  #destroyUnused(isUnused: (socket: Socket) => boolean): void {
    for (const [socket, requests] of this.#requests) if (requests === 0 && isUnused(socket)) socket.destroy();
  }
}
