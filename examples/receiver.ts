// An example receiver of webhooks: it verifies each signature, ignores repeated ids, and responds
// at once. `script/demo` uses it too.
//
//   WEBHOOK_SECRET=whsec_… node --import tsx examples/receiver.ts

import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import { pathToFileURL } from 'node:url';
import { unwrapWebhook, type WebhookEvent } from '@biolayer/sdk';

const BODY_LIMIT = 1024 * 1024;

export interface ReceiverOptions {
  /** The org's `whsec_…`, from `GET /v1/webhook-secret`. */
  secret: string;
  /** The token of `callback_auth` of type bearer; unset: not checked. */
  bearer?: string | undefined;
  /** 0 selects a free port. */
  port: number;
  /** Called once per event, however often it is delivered. */
  onEvent(event: WebhookEvent, raw: { headers: Record<string, string>; body: string }): void;
  /** Called for every request that is not from BioLayer or was changed in transit. */
  onRefused(reason: string): void;
}

export interface Receiver {
  url: string;
  close(): Promise<void>;
}

/** Starts a receiver on loopback. */
export async function startReceiver(options: ReceiverOptions): Promise<Receiver> {
  const seen = new Set<string>();
  const server = createServer(async (request, response) => {
    try {
      // The unchanged bytes: JSON that was parsed and serialized again has another signature.
      const body = await read(request);
      const headers = one(request.headers);
      if (options.bearer !== undefined && !isSame(headers.authorization, `Bearer ${options.bearer}`))
        throw new Error('wrong Authorization header');
      const event = unwrapWebhook(body, request.headers, options.secret);
      const id = headers['webhook-id'] ?? '';
      if (!seen.has(id)) {
        seen.add(id);
        options.onEvent(event, { headers, body });
      }
      response.writeHead(204).end();
    } catch (error) {
      options.onRefused(error instanceof Error ? error.message : String(error));
      response.writeHead(401).end();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server without a port');
  return {
    url: `http://127.0.0.1:${address.port}/webhooks/biolayer`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new Error('the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function one(headers: IncomingMessage['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat().join()]));
}

function isSame(given: string | undefined, wanted: string): boolean {
  const [a, b] = [Buffer.from(given ?? ''), Buffer.from(wanted)];
  return a.length === b.length && timingSafeEqual(a, b);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const secret = process.env.WEBHOOK_SECRET;
  if (!secret) throw new Error('WEBHOOK_SECRET is required: the secret of GET /v1/webhook-secret');
  const { url } = await startReceiver({
    secret,
    port: Number(process.env.PORT ?? 4000),
    onEvent: ({ type, data }) =>
      console.log('task_id' in data ? `${data.task_id}  ${data.sequence}  ${type}` : type),
    onRefused: (reason) => console.error(`refused: ${reason}`),
  });
  console.log(`listening on ${url}`);
}
