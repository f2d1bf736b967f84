// CORS: web pages of the origins that the operator lists may call the API. Credentials are sent in the Authorization header,
// so cookies are never allowed.

import cors from '@koa/cors';
import type { Middleware } from 'koa';

/** Response headers that a page may read. */
const EXPOSED = [
  'ETag',
  'Idempotent-Replayed',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Request-Id',
  'Retry-After',
];
/** Request headers that a page may send. */
const ALLOWED = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'If-Match',
  'Last-Event-ID',
  'MCP-Protocol-Version',
  'Mcp-Method',
  'Mcp-Name',
  'Request-Id',
];

/** @param origins such as `https://app.example`; with none, no page may call the API. */
export function crossOrigin(origins: readonly string[]): Middleware[] {
  if (origins.length === 0) return [];
  const listed = new Set(origins);
  return [
    cors({
      // An empty string: no CORS headers at all.
      origin: (ctx) => (listed.has(ctx.get('Origin')) ? ctx.get('Origin') : ''),
      allowMethods: ['GET', 'HEAD', 'POST', 'PATCH', 'PUT', 'DELETE'],
      allowHeaders: ALLOWED,
      exposeHeaders: EXPOSED,
      maxAge: 600,
    }),
  ];
}
