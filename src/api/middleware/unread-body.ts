// What a client still sends when its answer is out already (its file was too large, its token wrong) is read
// and thrown away for a moment: a client cut off while it sends does not get to see the answer. One that
// goes on for longer is cut off.

import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';

/** How long, ms. */
const LINGER = 10_000;

export function unreadBody(linger = LINGER): Middleware {
  return async (ctx, next) => {
    const { req, res } = ctx;
    res.once('finish', () => {
      if (!req.complete) throwAway(req, linger);
    });
    await next();
    // A client that wants the connection closed after the answer would have it closed in its face.
    if (!req.complete && !res.headersSent && wantsClose(req) && !res.hasHeader('Connection'))
      ctx.set('Connection', 'keep-alive');
  };
}

function throwAway(request: IncomingMessage, linger: number): void {
  const timer = setTimeout(() => request.destroy(), linger);
  request.once('close', () => clearTimeout(timer));
  request.once('end', () => {
    clearTimeout(timer);
    if (wantsClose(request)) request.socket.end();
  });
  request.on('error', () => undefined);
  request.unpipe();
  request.resume();
}

function wantsClose({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.0' || /\bclose\b/i.test(headers.connection ?? '');
}
