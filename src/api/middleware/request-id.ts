// Every response has a Request-Id: that of the request if it is safe to echo and log, else a new one.

import { randomUUID } from 'node:crypto';
import type { Middleware } from 'koa';

const SAFE = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/;

export interface RequestState {
  requestId: string;
}

export function requestId(): Middleware<RequestState> {
  return (ctx, next) => {
    const given = String(ctx.req.headers['request-id'] ?? '');
    ctx.state.requestId = SAFE.test(given) ? given : randomUUID();
    ctx.res.setHeader('Request-Id', ctx.state.requestId);
    return next();
  };
}
