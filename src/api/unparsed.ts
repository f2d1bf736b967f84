// Answers what never becomes a request: bytes that are no HTTP, headers too large or too slow. Node's parser
// gives up on them before any middleware is there, so the problem is written to the socket by hand.

import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { ApiError, problemBody } from './problem.ts';

/** Listener of a server's `clientError`: says what is wrong as RFC 9457 has it, and ends the connection. */
export function answerUnparsed(error: Error, socket: Duplex): void {
  // An answer that is on its way must not be mixed with this one; Node itself looks there too.
  const answering: unknown = Reflect.get(socket, '_httpMessage');
  const hasBegun =
    typeof answering === 'object' && answering !== null && Reflect.get(answering, 'headersSent');
  if (!socket.writable || hasBegun === true) {
    socket.destroy();
    return;
  }
  const shown = problemOf('code' in error ? error.code : undefined);
  const requestId = randomUUID();
  const body = JSON.stringify(problemBody(shown, requestId));
  const head = [
    `HTTP/1.1 ${shown.status} ${STATUS_CODES[shown.status]}`,
    'Content-Type: application/problem+json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Request-Id: ${requestId}`,
    'Cache-Control: no-store',
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function problemOf(code: unknown): ApiError {
  if (code === 'HPE_HEADER_OVERFLOW')
    return new ApiError('headers_too_large', 'The headers are larger than 16 KiB.');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new ApiError('request_timeout', 'The request did not arrive in time.');
  return new ApiError('malformed_request', 'This is not HTTP/1.1.');
}
