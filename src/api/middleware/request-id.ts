// Every answer carries a Request-Id; the caller's own is kept when it is fit to be echoed and logged.

import { randomUUID } from 'node:crypto';
import type { Middleware } from 'koa';

const FIT = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/;

export interface RequestState {
  requestId: string;
}

export function requestId(): Middleware<RequestState> {
  return (ctx, next) => {
    const given = String(ctx.req.headers['request-id'] ?? '');
    ctx.state.requestId = FIT.test(given) ? given : randomUUID();
    ctx.res.setHeader('Request-Id', ctx.state.requestId);
    return next();
  };
}
