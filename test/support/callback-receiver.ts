// A webhook receiver on loopback that records requests and responds as the test says.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { onTestFinished } from 'vitest';

export interface ReceivedRequest {
  id: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
  /** `data.sequence` of the body. */
  sequence: number;
  type: string;
  /** Milliseconds since the epoch. */
  at: number;
}

export interface Reply {
  status: number;
  headers?: Record<string, string>;
  body?: string;
  /** Delays the response until this resolves. */
  after?: Promise<unknown>;
}

export interface CallbackReceiver {
  url: string;
  /** Requests in the order of their arrival. */
  received: ReceivedRequest[];
  /** The response to the `nth` attempt (from 1) of an event. */
  reply: (request: ReceivedRequest, nth: number) => Reply;
}

/** Starts a receiver; closed at the end of the test. */
export async function startCallbackReceiver(
  reply: CallbackReceiver['reply'] = () => ({ status: 204 }),
): Promise<CallbackReceiver> {
  const receiver: CallbackReceiver = { url: '', received: [], reply };
  const server = createServer(async (request, response) => {
    const at = Date.now();
    let body = '';
    for await (const piece of request.setEncoding('utf8')) body += piece;
    const { type, data } = JSON.parse(body) as { type: string; data: { sequence: number } };
    const { headers, url: path = '' } = request;
    const arrived: ReceivedRequest = {
      id: String(headers['webhook-id']),
      path,
      headers,
      body,
      sequence: data.sequence,
      type,
      at,
    };
    receiver.received.push(arrived);
    const nth = receiver.received.filter((one) => one.id === arrived.id).length;
    const { status, headers: more, body: said = '{"said":"so"}', after } = receiver.reply(arrived, nth);
    await after;
    response.writeHead(status, more).end(said);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return receiver;
}

/** Whether the request is signed with the `whsec_…` secret; verified by the public package of Standard Webhooks. */
export function isSigned(secret: string, { body, headers }: ReceivedRequest): boolean {
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}
