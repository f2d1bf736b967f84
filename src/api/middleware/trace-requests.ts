// A span for each request, which continues the trace of the client (W3C Trace Context). Names and attributes are those of
// OpenTelemetry's semantic conventions for HTTP servers. The query is left out, because clients put data into it.

import { SpanKind } from '@opentelemetry/api';
import type { Middleware } from 'koa';
import { inSpan, markFailed } from '../../tracing/tracing.ts';

/** Methods that have a name of their own; any other is `_OTHER`. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'CONNECT', 'TRACE']);
/** Most of a path that is kept, UTF-16 units. */
const PATH_LENGTH = 256;
/** Asked every few seconds by probes. */
const UNTRACED = new Set(['/livez', '/readyz', '/metrics']);

/** Must be the first middleware. */
export function traceRequests(): Middleware {
  return (ctx, next) => {
    if (UNTRACED.has(ctx.path)) return next();
    const method = METHODS.has(ctx.method) ? ctx.method : '_OTHER';
    const name = method === '_OTHER' ? 'HTTP' : method;
    const attributes = {
      'http.request.method': method,
      'url.scheme': ctx.protocol,
      'url.path': ctx.path.slice(0, PATH_LENGTH),
    };
    // Without the header, a request that another one makes inside the process (MCP) continues the span of that.
    const parent = ctx.get('traceparent') || undefined;
    return inSpan(name, { kind: SpanKind.SERVER, attributes, parent }, async (span) => {
      await next();
      if (span === undefined) return;
      const route: unknown = Reflect.get(ctx, '_matchedRoute');
      if (typeof route === 'string') span.updateName(`${name} ${route}`).setAttribute('http.route', route);
      span.setAttribute('http.response.status_code', ctx.status);
      if (ctx.status >= 500) markFailed(span, String(ctx.status));
    });
  };
}
