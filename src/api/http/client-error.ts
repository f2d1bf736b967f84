// Responses to client errors that occur before a request is parsed (malformed HTTP, headers that are too large or too slow)
// and to CONNECT. These do not reach any middleware, so the problem document is written directly to the socket.

import { randomUUID } from 'node:crypto';
import { type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { endLingering } from './lingering-close.ts';
import { ApiError, methodNotAllowed, problemBody } from './problem.ts';

/** How long a client may keep sending after such a response, ms. */
const CLIENT_ERROR_LINGER_MS = 2000;

/** Connections that have got such a response; the rest of their input may cause further errors. */
const answered = new WeakSet<Duplex>();

/** Makes the server answer client errors here, and pass requests with an Expect header to its `request` listener. */
export function handleClientErrors(server: Server): void {
  server.on('clientError', (error, socket) => {
    if (answered.has(socket)) return;
    // A response that has started must not be mixed with this one. Node uses the same field for this check.
    const answering: unknown = Reflect.get(socket, '_httpMessage');
    const hasBegun =
      typeof answering === 'object' && answering !== null && Reflect.get(answering, 'headersSent');
    if (!socket.writable || hasBegun === true) socket.destroy();
    else respondOn(socket, problemOf('code' in error ? error.code : undefined));
  });
  server.on('connect', (_request, socket) =>
    respondOn(socket, methodNotAllowed('CONNECT', 'GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE')),
  );
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
}

/** Writes a problem document (RFC 9457) to a connection and ends it. */
export function respondOn(socket: Duplex, problem: ApiError): void {
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
  endLingering(socket, `${head.join('\r\n')}\r\n\r\n${body}`, CLIENT_ERROR_LINGER_MS);
}

function problemOf(code: unknown): ApiError {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new ApiError('headers_too_large', 'The headers are larger than 16 KiB.');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ApiError('body_too_large', 'The chunk extensions are larger than 16 KiB.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ApiError('request_timeout', 'The request did not arrive in time.');
    case 'HPE_INVALID_METHOD':
      return new ApiError('malformed_request', 'The request does not start with an HTTP method.');
    default:
      return new ApiError('malformed_request', 'This is not a valid HTTP/1.1 request.');
  }
}
