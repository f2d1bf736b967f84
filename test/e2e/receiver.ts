// A webhook receiver on loopback that records deliveries and responds as the test says. Signatures are verified with the
// public package of Standard Webhooks.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { expect } from 'vitest';

export interface Received {
  id: string;
  /** Unix seconds of the attempt. */
  timestamp: number;
  headers: IncomingHttpHeaders;
  raw: string;
  body: { type: string; timestamp: string; data: Record<string, unknown> };
  /** Status of the response. */
  status: number;
}

export interface Receiver {
  url: string;
  received: Received[];
  /** Chooses the status of responses; default 204. */
  answer: (received: Omit<Received, 'status'>) => number;
  /** Waits until each of these types was delivered successfully. @returns all such deliveries. */
  taken(types: readonly string[]): Promise<Received[]>;
  close(): Promise<void>;
}

/** Starts a receiver. */
export async function startReceiver(): Promise<Receiver> {
  const server = createServer(async (request, response) => {
    let raw = '';
    for await (const piece of request.setEncoding('utf8')) raw += piece;
    const { headers } = request;
    const [id, timestamp] = [String(headers['webhook-id']), Number(headers['webhook-timestamp'])];
    const arrived = { id, timestamp, headers, raw, body: JSON.parse(raw) };
    const status = receiver.answer(arrived);
    receiver.received.push({ ...arrived, status });
    response.writeHead(status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks/biolayer`,
    received: [],
    answer: () => 204,
    async taken(types) {
      const found = () =>
        receiver.received.filter((one) => one.status < 300 && types.includes(one.body.type));
      await expect
        .poll(() => new Set(found().map((one) => one.body.type)).size, { timeout: 25_000 })
        .toBe(types.length);
      return found();
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return receiver;
}

/** Whether the delivery is signed with this `whsec_…` secret. */
export function isSignedWith(secret: string, { raw, headers }: Received): boolean {
  try {
    new Webhook(secret).verify(raw, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}
