// Headers of the OpenAPI document.

import type { Route } from '../route.ts';
import type { Json } from './components.ts';

const text = { type: 'string' };

/** Response headers, to which responses refer. */
export const RESPONSE_HEADERS = {
  'Request-Id': {
    description: 'Id of the request: its own `Request-Id`, or a new one. Quote it in reports.',
    schema: text,
    example: '5f0c6c1e-6a0f-4d0c-9d4e-0a0f3e2b7c11',
  },
  ETag: {
    description: 'Version of the resource, for `If-Match`',
    schema: { ...text, pattern: '^"\\d+"$' },
    example: '"3"',
  },
  Location: {
    description: 'Path of the resource that the request created',
    schema: { ...text, format: 'uri-reference' },
    example: '/v1/tasks/01890a5d-ac96-774b-bcce-b302099a8057',
  },
  'Retry-After': {
    description: 'Seconds to wait before the next attempt',
    schema: { type: 'integer', minimum: 1 },
    example: 2,
  },
  RateLimit: {
    description: 'What is left of each limit: `r` requests, full again after `t` seconds',
    schema: text,
    example: '"key";r=99;t=1, "org";r=999;t=1',
  },
  'RateLimit-Policy': {
    description: 'The limits: `q` requests in `w` seconds',
    schema: text,
    example: '"key";q=100;w=1, "org";q=1000;w=1',
  },
  'Idempotent-Replayed': {
    description: 'Present when this is the stored response of the first request with the `Idempotency-Key`',
    schema: { ...text, const: 'true' },
    example: 'true',
  },
  'WWW-Authenticate': {
    description: 'The credential that is missing or wrong (RFC 6750)',
    schema: text,
    example: 'Bearer realm="biolayer"',
  },
} as const satisfies Record<string, Json>;

type HeaderName = keyof typeof RESPONSE_HEADERS;

/** Headers that errors with a status have besides the Request-Id. */
export const HEADERS_OF_STATUS: Record<number, HeaderName[]> = {
  401: ['WWW-Authenticate'],
  409: ['Retry-After', 'Location'],
  429: ['Retry-After'],
  503: ['Retry-After'],
};

/** Request headers. */
const REQUEST_HEADERS = {
  'Idempotency-Key': {
    description: 'A repeated request with the same key and body gets the first response. Kept for 24 hours.',
    schema: { type: 'string', minLength: 1, maxLength: 257 },
    example: 'IR-48219',
  },
  'If-Match': {
    description: 'The `ETag` that the resource must still have; else 412',
    schema: text,
    example: '"3"',
  },
  'If-None-Match': {
    description: 'The `ETag` that the caller has; 304 while it is still the same',
    schema: text,
    example: '"3"',
  },
  'Last-Event-ID': {
    description: '`id` of the last event that was received; the stream continues after it',
    schema: { type: 'string', maxLength: 1000 },
    example: '1764451200000-0',
  },
} as const satisfies Record<string, Json>;

/** References to response headers. */
export function headers(names: readonly HeaderName[]): Json {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

/** The headers of a successful response. @param own those that the route adds */
export function responseHeaders(route: Route, own: readonly HeaderName[] = []): Json {
  const isLimited = ['scope', 'worker', 'session'].includes(route.access.kind);
  return headers([
    'Request-Id',
    ...own,
    ...(isLimited ? (['RateLimit', 'RateLimit-Policy'] as const) : []),
    ...(takesIdempotencyKey(route) ? (['Idempotent-Replayed'] as const) : []),
  ]);
}

/** Whether the route reads an Idempotency-Key; a sign-in has no caller yet whose repetition it could be. */
export function takesIdempotencyKey({ method, access }: Route): boolean {
  return method === 'POST' && access.kind !== 'sign_in';
}

/** Whether a GET of the route may be answered with 304. */
export function isCacheable(route: Route): boolean {
  return route.method === 'GET' && route.responses[200]?.headers?.includes('ETag') === true;
}

/** References to the request headers that a route reads. */
export function headerParameters(route: Route): Json[] {
  const isStream = Object.values(route.responses).some((one) => one.type === 'text/event-stream');
  const names: (keyof typeof REQUEST_HEADERS | false)[] = [
    takesIdempotencyKey(route) && 'Idempotency-Key',
    route.versioned === true && 'If-Match',
    isCacheable(route) && 'If-None-Match',
    isStream && 'Last-Event-ID',
  ];
  return names.filter((name) => name !== false).map((name) => ({ $ref: `#/components/parameters/${name}` }));
}

/** The request headers to which operations refer. */
export const HEADER_PARAMETERS: Record<string, Json> = Object.fromEntries(
  Object.entries(REQUEST_HEADERS).map(([name, header]) => [name, { name, in: 'header', ...header }]),
);
