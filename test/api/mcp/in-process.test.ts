// Requests within the process: what the API sees of the caller, and that they end with the caller's connection.
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { inProcessFetch } from '../../../src/api/mcp/in-process.ts';

const closers: (() => void)[] = [];
afterEach(() => closers.splice(0).forEach((close) => void close()));

/** A real request, as the MCP endpoint gets it. */
async function callerWith(headers: Record<string, string>): Promise<IncomingMessage> {
  return new Promise((resolve) => {
    const server = createServer((request, response) => {
      closers.push(() => response.end());
      resolve(request);
    });
    closers.push(() => server.close());
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      void fetch(`http://127.0.0.1:${port}/mcp`, { headers }).then((answer) => answer.text());
    });
  });
}

const never = new AbortController().signal;

test('passes credential, address, method, path and body on, and the answer back', async () => {
  const caller = await callerWith({ Authorization: 'Bearer blk_x', 'X-Forwarded-For': '203.0.113.9' });
  const echo: RequestListener = (request, response) => {
    const { method, url, headers, socket, complete } = request;
    const seen = {
      method,
      url,
      address: socket.remoteAddress,
      complete,
      authorization: headers.authorization,
      forwarded: headers['x-forwarded-for'],
      key: headers['idempotency-key'],
    };
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      response.writeHead(201, { 'Content-Type': 'application/json', 'Request-Id': 'r1' });
      response.end(JSON.stringify({ ...seen, body }));
    });
  };
  const send = inProcessFetch(echo, caller, never);
  const answer = await send('http://localhost/v1/tasks?x=%2F1', {
    method: 'POST',
    // The caller's credential wins.
    headers: { 'Idempotency-Key': 'k', Authorization: 'Bearer other', 'Content-Type': 'application/json' },
    body: '{"a":1}',
  });
  expect([answer.status, answer.headers.get('request-id')]).toEqual([201, 'r1']);
  expect(await answer.json()).toEqual({
    method: 'POST',
    url: '/v1/tasks?x=%2F1',
    address: '127.0.0.1',
    complete: true,
    authorization: 'Bearer blk_x',
    forwarded: '203.0.113.9',
    key: 'k',
    body: '{"a":1}',
  });
});

test.each(['the caller has disconnected', 'the request is aborted'])('ends when %s', async (cause) => {
  const end = new AbortController();
  const responses: ServerResponse[] = [];
  let isClosed = false;
  const silent: RequestListener = (_request, response) => {
    response.once('close', () => {
      isClosed = true;
    });
    responses.push(response);
  };
  const isGone = cause.startsWith('the caller');
  const send = inProcessFetch(silent, await callerWith({}), isGone ? end.signal : never);
  const answer = send('http://localhost/v1/tasks', isGone ? {} : { signal: end.signal });
  const failed = expect(answer).rejects.toThrow();
  await vi.waitFor(() => expect(responses).toHaveLength(1));
  end.abort();
  await failed;
  // Long polls of the API end by this event.
  await vi.waitFor(() => expect(isClosed).toBe(true));
});
