// The open connections of an HTTP server, so that it can shut down without waiting for those that have no request.
// Node's `closeIdleConnections` closes only connections that have had one: a connection that has sent nothing counts as
// active, and after `server.close` Node no longer applies the time limit for headers.

import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** How often idle connections are closed during a shutdown, ms. */
const EVERY = 50;

export class OpenConnections {
  readonly #server: Server;
  /** Number of requests in progress. */
  readonly #requests = new Map<Socket, number>();

  /** @param server before it listens. */
  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#requests.set(socket, 0);
      socket.once('close', () => this.#requests.delete(socket));
    });
    server.on('request', ({ socket }, response) => {
      this.#add(socket, 1);
      response.once('close', () => this.#add(socket, -1));
    });
  }

  /**
   * Stops listening and resolves when all connections are closed, each as soon as it has no request.
   * @param headersMs how long a client may take to send the rest of a request's headers
   */
  async close(headersMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    const idle = setInterval(() => {
      this.#server.closeIdleConnections();
      this.#destroyUnused((socket) => socket.bytesRead === 0);
    }, EVERY);
    const slow = setTimeout(() => this.#destroyUnused(() => true), headersMs);
    await closed;
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
