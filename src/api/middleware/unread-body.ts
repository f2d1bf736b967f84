// What a client still sends when its answer is out already (its file was too large, its token wrong) is read
// and thrown away for a moment, since a client cut off while it sends does not get to see the answer. Then
// the connection ends.

import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';

/** How long, ms. */
const LINGER = 10_000;

export function unreadBody(linger = LINGER): Middleware {
  return async (ctx, next) => {
    ctx.res.once('finish', () => {
      if (!ctx.req.complete) throwAway(ctx.req, linger);
    });
    await next();
  };
}

function throwAway(request: IncomingMessage, linger: number): void {
  const timer = setTimeout(() => request.destroy(), linger);
  request.once('close', () => clearTimeout(timer));
  request.once('end', () => clearTimeout(timer));
  request.on('error', () => undefined);
  request.unpipe();
  request.resume();
}
