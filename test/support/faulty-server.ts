// A server between client and API that fails as a test says.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What happens to a request: forwarded; forwarded, but the answer is lost, or cut in the middle; held for ever; or answered. */
export type Fault =
  | 'none'
  | 'lost'
  | 'cut'
  | 'hang'
  | { status: number; headers?: Record<string, string>; body?: string };

export interface FaultyServer {
  url: string;
  /** Method and path of each request, in order. */
  requests: { method: string; path: string; idempotencyKey: string | undefined }[];
  close(): Promise<void>;
}

/** @param target URL of the API @param faultOf the fault of the n-th request; n starts at 0 */
export async function startFaultyServer(
  target: string,
  faultOf: (n: number, path: string) => Fault,
): Promise<FaultyServer> {
  const requests: FaultyServer['requests'] = [];
  const server = createServer(async (request, response) => {
    const { method = 'GET', url = '/' } = request;
    const key = request.headers['idempotency-key'];
    const n =
      requests.push({ method, path: url, idempotencyKey: typeof key === 'string' ? key : undefined }) - 1;
    const fault = faultOf(n, url);
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    if (fault === 'hang') return;
    if (typeof fault === 'object') {
      response.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    const headers = new Headers();
    for (const name of ['authorization', 'content-type', 'idempotency-key', 'last-event-id']) {
      const value = request.headers[name];
      if (typeof value === 'string') headers.set(name, value);
    }
    const body = pieces.length > 0 ? Buffer.concat(pieces) : null;
    const answer = await fetch(target + url, { method, headers, body });
    if (fault === 'lost') {
      await answer.arrayBuffer();
      response.destroy();
      return;
    }
    const passed = Object.fromEntries([...answer.headers].filter(([name]) => name !== 'connection'));
    response.writeHead(answer.status, passed);
    if (answer.headers.get('content-type')?.startsWith('text/event-stream')) {
      response.on('close', () => void answer.body?.cancel().catch(() => undefined));
      for await (const piece of answer.body ?? []) {
        response.write(piece);
        if (fault === 'cut' && Buffer.from(piece).includes('data:')) break;
      }
      response.destroy();
      return;
    }
    const text = Buffer.from(await answer.arrayBuffer());
    if (fault === 'cut') response.write(text.subarray(0, text.length / 2), () => response.destroy());
    else response.end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
