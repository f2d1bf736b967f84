// Headers that every answer has: nothing here is to be guessed at, framed, cached or shared.

import type { IncomingMessage } from 'node:http';
import type { Middleware } from 'koa';

/** @param isSecure whether the client spoke TLS: only then may it be told to go on so (RFC 6797, section 7.2). */
export function securityHeaders(isSecure: (request: IncomingMessage) => boolean): Middleware {
  return async (ctx, next) => {
    if (isSecure(ctx.req)) ctx.set('Strict-Transport-Security', 'max-age=31536000; includeSubDomains');
    ctx.set('Cross-Origin-Resource-Policy', 'same-origin');
    ctx.set('X-Content-Type-Options', 'nosniff');
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Referrer-Policy', 'no-referrer');
    ctx.set('X-Frame-Options', 'DENY');
    ctx.set('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'");
    await next();
  };
}
