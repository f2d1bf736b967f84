// Where an answer is out before its request has arrived (a file too large, a wrong token), the rest of the request is
// read and thrown away: see linger.ts.

import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';
import { cutOffLater, isTooMuch, LINGER } from '../http/linger.ts';

/** @param linger how long the client may go on sending, ms */
export function unreadBody(linger = LINGER): Middleware {
  return (ctx, next) => {
    const { req, res } = ctx;
    res.once('prefinish', () => {
      if (!req.complete) throwAway(req, linger);
    });
    return next();
  };
}

function throwAway(request: IncomingMessage, linger: number): void {
  const { socket } = request;
  // Node destroys the socket with the end of an answer that closes the connection. Its end is enough: the client sees
  // that nothing more comes, and is not reset.
  const destroySoon = socket.destroySoon.bind(socket);
  socket.destroySoon = () => void socket.end();
  const callOff = cutOffLater(socket, linger);
  let bytes = 0;
  request.on('error', () => undefined);
  request.unpipe();
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (isTooMuch(bytes)) socket.destroy();
  });
  request.once('end', () => {
    callOff();
    socket.destroySoon = destroySoon;
    if (socket.writableEnded) destroySoon();
  });
  request.resume();
}
