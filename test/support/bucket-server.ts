// A minimal S3 server on loopback: puts, gets, lists and deletes objects, path style. It requires a signature and a
// content length, as S3 does, but does not verify the signature.
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface BucketServer {
  endpoint: string;
  /** `/bucket/key` → bytes. */
  objects: Map<string, Buffer>;
  /** Responds to the next `count` uploads with 503. */
  refuse(count: number): void;
  close(): Promise<void>;
}

/** Starts a bucket server on a free port. */
export async function startBucketServer(): Promise<BucketServer> {
  const objects = new Map<string, Buffer>();
  let refusals = 0;
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '/', 'http://s3');
    const path = decodeURIComponent(url.pathname);
    const body = await buffer(request).catch(() => Buffer.alloc(0));
    const answer = (status: number, text: string | Buffer = '') => response.writeHead(status).end(text);
    if (!request.headers.authorization?.startsWith('AWS4-HMAC-SHA256 ')) return answer(403);
    if (request.method === 'PUT') {
      if (!hasContentLength(request, body)) return answer(411);
      refusals -= 1;
      if (refusals >= 0) return answer(503, '<Error><Code>SlowDown</Code></Error>');
      objects.set(path, body);
      return answer(200);
    }
    if (request.method === 'DELETE') {
      objects.delete(path);
      return answer(204);
    }
    if (request.method === 'POST' && url.searchParams.has('delete')) {
      for (const [, key] of body.toString().matchAll(/<Key>(.*?)<\/Key>/g)) objects.delete(`${path}${key}`);
      return answer(200, '<DeleteResult/>');
    }
    if (url.searchParams.get('list-type') === '2') {
      const start = `${path}${url.searchParams.get('prefix') ?? ''}`;
      const found = [...objects.keys()].filter((one) => one.startsWith(start));
      const keys = found.map((one) => `<Contents><Key>${one.slice(path.length)}</Key></Contents>`);
      return answer(200, `<ListBucketResult>${keys.join('')}</ListBucketResult>`);
    }
    const found = objects.get(path);
    return found === undefined ? answer(404, '<Error><Code>NoSuchKey</Code></Error>') : answer(200, found);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    objects,
    refuse(count) {
      refusals = count;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function hasContentLength({ headers }: IncomingMessage, body: Buffer): boolean {
  return headers['content-length'] === String(body.length) && headers['content-encoding'] === undefined;
}
