// Which web pages may call the API from a browser: those of the origins that the operator lists, nobody else's.
// Credentials are sent as a header that a page must set itself, so no cookie is ever let through.

import cors from '@koa/cors';
import type { Middleware } from 'koa';

/** What a page may read of an answer besides its body. */
const EXPOSED = [
  'ETag',
  'Idempotent-Replayed',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Request-Id',
  'Retry-After',
];
const TAKEN = ['Authorization', 'Content-Type', 'Idempotency-Key', 'If-Match', 'Last-Event-ID', 'Request-Id'];

/** @param origins such as `https://app.example`; none: no page may. */
export function crossOrigin(origins: readonly string[]): Middleware[] {
  if (origins.length === 0) return [];
  const listed = new Set(origins);
  return [
    cors({
      // An empty text: not one word about it, as if there were no CORS.
      origin: (ctx) => (listed.has(ctx.get('Origin')) ? ctx.get('Origin') : ''),
      allowMethods: ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE'],
      allowHeaders: TAKEN,
      exposeHeaders: EXPOSED,
      maxAge: 600,
    }),
  ];
}
