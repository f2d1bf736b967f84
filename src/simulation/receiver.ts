// Receives the webhooks of a simulation on loopback and verifies them.

import { hash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { unwrapWebhook } from '@biolayer/sdk';

/** The first arrival of an event. */
interface Arrival {
  /** SHA-256 of the body. */
  digest: string;
  /** Time of `performance.now()`, ms. */
  at: number;
}

export class Receiver {
  /** Secrets of the senders: a delivery is signed with one of them. */
  readonly secrets: string[] = [];
  /** By id of the event. */
  readonly arrivals = new Map<string, Arrival>();
  /** Sentences about deliveries that are not as they should be. */
  readonly faults: string[] = [];
  received = 0;
  /** The status of the answer to the `nth` delivery; null: no answer is given. */
  answer: (nth: number) => number | null = () => 204;
  readonly #server = createServer((request, response) => void this.#receive(request, response));

  /** Starts to listen on a free port of 127.0.0.1. @throws Error when it cannot */
  async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Deliveries that arrived although they had arrived before. */
  get repeated(): number {
    return this.received - this.arrivals.size;
  }

  /** Ends all connections, also those that wait for an answer. */
  drop(): void {
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    this.#server.close();
    this.drop();
    await once(this.#server, 'close');
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      let body = '';
      for await (const chunk of request.setEncoding('utf8')) body += chunk;
      this.received += 1;
      this.#record(body, request);
      const status = this.answer(this.received);
      if (status !== null) response.writeHead(status).end();
    } catch {
      // The sender has closed the connection, as a process that is killed does.
    }
  }

  #record(body: string, { headers }: IncomingMessage): void {
    const id = String(headers['webhook-id']);
    try {
      unwrapWebhook(body, headers, this.secrets);
    } catch (error) {
      this.faults.push(`delivery of ${id}: ${error instanceof Error ? error.message : error}`);
    }
    const digest = hash('sha256', body, 'hex');
    const first = this.arrivals.get(id);
    if (first === undefined) this.arrivals.set(id, { digest, at: performance.now() });
    else if (first.digest !== digest) this.faults.push(`${id} arrived with two different bodies`);
  }
}
