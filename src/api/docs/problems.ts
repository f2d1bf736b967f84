// The errors of the OpenAPI document: which codes each operation can return, and one response for each status.

import { STATUS_CODES } from 'node:http';
import { PROBLEMS, type ProblemCode } from '../http/problem.ts';
import type { Route } from '../route.ts';
import type { Json } from './components.ts';
import { HEADERS_OF_STATUS, headers, takesIdempotencyKey } from './headers.ts';

/** The codes that a route can return: its own, and those that follow from its access, parameters, body and method. */
function codesOf(route: Route): ProblemCode[] {
  const { access, method, body, reader } = route;
  const isWrite = method !== 'GET';
  const isOfOrg = access.kind === 'scope' || access.kind === 'worker' || access.kind === 'session';
  const isOpen = access.kind === 'open' || access.kind === 'sign_in';
  const takesKey = takesIdempotencyKey(route);
  const codes: (ProblemCode | false | undefined)[] = [
    'malformed_request',
    'request_timeout',
    'expectation_failed',
    'headers_too_large',
    'rate_limited',
    'internal_error',
    'unavailable',
    'invalid_query',
    route.query !== undefined && 'cursor' in route.query.properties && 'invalid_cursor',
    !isOpen && 'invalid_credential',
    !isOpen && access.kind !== 'session' && 'insufficient_scope',
    isOfOrg && 'ip_not_allowed',
    isOfOrg && 'org_suspended',
    isOfOrg && 'origin_not_allowed',
    access.kind === 'scope' && isWrite && 'pool_forbidden',
    ((access.kind === 'scope' && access.liveOnly) || route.grants) && 'live_key_required',
    route.params !== undefined && 'not_found',
    isWrite && 'invalid_header',
    isWrite && 'version_mismatch',
    isWrite && 'conflict',
    body !== undefined && 'malformed_json',
    reader !== undefined && 'malformed_body',
    (body ?? reader) !== undefined && 'body_too_large',
    (body ?? reader) !== undefined && 'unsupported_media_type',
    (body ?? reader) !== undefined && 'validation_failed',
    takesKey && 'quota_exceeded',
    takesKey && 'idempotency_in_flight',
    takesKey && 'idempotency_answer_lost',
    takesKey && 'idempotency_key_reused',
    ...(route.errors ?? []),
  ];
  return Object.keys(PROBLEMS).filter((code) => codes.some((one) => one === code)) as ProblemCode[];
}

/** The error responses of a route, by status. Their descriptions list the codes. */
export function problemResponses(route: Route): Record<string, Json> {
  const responses: Record<string, Json> = {};
  for (const status of new Set(codesOf(route).map((code) => PROBLEMS[code][0]))) {
    const codes = codesOf(route).filter((code) => PROBLEMS[code][0] === status);
    responses[status] = {
      $ref: `#/components/responses/${nameOf(status)}`,
      description: codes.map((code) => `\`${code}\``).join(', '),
    };
  }
  return responses;
}

/** The responses to which those of the routes refer, by name. */
export function problemComponents(): Record<string, Json> {
  // An unsupported method is no operation.
  const { method_not_allowed: _, ...known } = PROBLEMS;
  const statuses = [...new Set(Object.values(known).map(([status]) => status))];
  return Object.fromEntries(
    statuses.map((status) => [
      nameOf(status),
      {
        description: STATUS_CODES[status],
        headers: headers([
          'Request-Id',
          'RateLimit',
          'RateLimit-Policy',
          ...(HEADERS_OF_STATUS[status] ?? []),
        ]),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}

function nameOf(status: number): string {
  return (STATUS_CODES[status] ?? '').replaceAll(' ', '');
}
