// When a response ends before its request has been received (a file that is too large, an invalid token), the rest of the
// request is read and discarded: see http/lingering-close.ts.

import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { destroyLater, isTooMuch, LINGER_MS } from '../http/lingering-close.ts';

/** @param linger how long the client may keep sending, ms. */
export function unreadBody(linger = LINGER_MS): Middleware {
  return (ctx, next) => {
    const { req, res } = ctx;
    res.once('prefinish', () => {
      if (!req.complete) discard(req, linger);
    });
    return next();
  };
}

function discard(request: IncomingMessage, linger: number): void {
  const { socket } = request;
  // Node destroys the socket at the end of a response that closes the connection. Ending it is enough: the client reads the
  // end of the response and gets no reset.
  const destroySoon = socket.destroySoon.bind(socket);
  socket.destroySoon = () => void socket.end();
  const cancel = destroyLater(socket, linger);
  let bytes = 0;
  request.on('error', () => undefined);
  request.unpipe();
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (isTooMuch(bytes)) socket.destroy();
  });
  request.once('end', () => {
    cancel();
    socket.destroySoon = destroySoon;
    if (socket.writableEnded) destroySoon();
  });
  request.resume();
}
