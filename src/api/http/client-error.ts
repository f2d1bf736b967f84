// Answers what Node would answer itself, or leave without an answer: bytes that are no HTTP, headers too large or too
// slow, CONNECT. No middleware is reached by these, so the problem is written to the socket by hand.

import { randomUUID } from 'node:crypto';
import { type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { endLingering } from './linger.ts';
import { ApiError, methodNotAllowed, problemBody } from './problem.ts';

/** How long a client may go on sending after such an answer, ms. */
const UNPARSED_LINGER = 2000;

/** Connections that have been answered: more errors may come from what they still send. */
const answered = new WeakSet<Duplex>();

/** Has every answer of the server made here or by its `request` listener. */
export function answerClientError(server: Server): void {
  server.on('clientError', (error, socket) => {
    if (answered.has(socket)) return;
    // An answer that is on its way must not be mixed with this one; Node itself looks there too.
    const answering: unknown = Reflect.get(socket, '_httpMessage');
    const hasBegun =
      typeof answering === 'object' && answering !== null && Reflect.get(answering, 'headersSent');
    if (!socket.writable || hasBegun === true) socket.destroy();
    else answerOn(socket, problemOf('code' in error ? error.code : undefined));
  });
  server.on('connect', (_request, socket) =>
    answerOn(socket, methodNotAllowed('CONNECT', 'GET, HEAD, OPTIONS, POST, PATCH, DELETE')),
  );
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
}

/** Writes the problem (RFC 9457) to a connection and ends it. */
export function answerOn(socket: Duplex, problem: ApiError): void {
  const requestId = randomUUID();
  const body = JSON.stringify(problemBody(problem, requestId));
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Request-Id: ${requestId}`,
    ...Object.entries(problem.headers).map(([name, value]) => `${name}: ${value}`),
    'Cache-Control: no-store',
    'Connection: close',
  ];
  answered.add(socket);
  socket.on('error', () => undefined);
  endLingering(socket, `${head.join('\r\n')}\r\n\r\n${body}`, UNPARSED_LINGER);
}

function problemOf(code: unknown): ApiError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ApiError('headers_too_large', 'The headers are larger than 16 KiB.');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ApiError('body_too_large', 'The extensions of a chunk are larger than 16 KiB.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ApiError('request_timeout', 'The request did not arrive in time.');
    case 'HPE_INVALID_METHOD':
      return new ApiError('malformed_request', 'The request begins with no method of HTTP.');
    default:
      return new ApiError('malformed_request', 'This is not HTTP/1.1.');
  }
}
