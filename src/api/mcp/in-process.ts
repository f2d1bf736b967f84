// A `fetch` that hands requests to the API of the same process, on behalf of the caller of another request: with their
// credential and their address, so that every rule of the API applies to them.

import type { IncomingMessage, RequestListener } from 'node:http';
import inject, { type InjectOptions } from 'light-my-request';

/** Statuses whose responses have no body. */
const EMPTY: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * @param serve the API.
 * @param caller the request whose Authorization and address are used. The URL's host is ignored.
 * @param gone aborts when the caller has disconnected, and so do the requests.
 */
export function inProcessFetch(
  serve: RequestListener,
  caller: IncomingMessage,
  gone: AbortSignal,
): typeof fetch {
  const { authorization = '', 'x-forwarded-for': forwarded, host = 'localhost' } = caller.headers;
  const { remoteAddress } = caller.socket;
  const listener: RequestListener = (request, response) => {
    // The body is handed over as a whole; the library does not say so.
    request.complete = true;
    serve(request, response);
  };
  return async (input, init) => {
    const request = new Request(input, init);
    const { pathname, search } = new URL(request.url);
    const payload = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
    const { statusCode, headers, rawPayload } = await inject(listener, {
      method: request.method as NonNullable<InjectOptions['method']>,
      url: pathname + search,
      headers: {
        ...Object.fromEntries(request.headers),
        host,
        authorization,
        ...(forwarded !== undefined && { 'x-forwarded-for': forwarded }),
      },
      ...(payload !== undefined && { payload }),
      ...(remoteAddress !== undefined && { remoteAddress }),
      signal: AbortSignal.any([request.signal, gone]),
    });
    const sent = new Headers();
    for (const [name, value] of Object.entries(headers))
      for (const one of [value ?? []].flat()) sent.append(name, String(one));
    return new Response(EMPTY.has(statusCode) ? null : new Uint8Array(rawPayload), {
      status: statusCode,
      headers: sent,
    });
  };
}
