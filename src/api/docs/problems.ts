// The errors of the OpenAPI document: which codes each operation can return, and one response for each status.

import { STATUS_CODES } from 'node:http';
import type { Obstacle } from '../../state/workers/explain.ts';
import { ApiError, type FieldError, PROBLEMS, type ProblemCode, problemBody } from '../http/problem.ts';
import type { Route } from '../route.ts';
import type { Json } from './components.ts';
import { ERROR_GUIDE } from './error-guide.ts';
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

/** Statuses whose codes a program has to tell apart, and which differ most from operation to operation. */
const TOLD_APART: readonly number[] = [400, 409, 422];

/** The error responses of a route, by status. Their descriptions list the codes; those of 400, 409 and 422 have an example of each. */
export function problemResponses(route: Route): Record<string, Json> {
  const responses: Record<string, Json> = {};
  for (const status of new Set(codesOf(route).map((code) => PROBLEMS[code][0]))) {
    const codes = codesOf(route).filter((code) => PROBLEMS[code][0] === status);
    const description = codes.map((code) => `\`${code}\``).join(', ');
    responses[status] = TOLD_APART.includes(status)
      ? problemResponse(status, description, codes)
      : { $ref: `#/components/responses/${nameOf(status)}`, description };
  }
  return responses;
}

function problemResponse(status: number, description: string, codes: readonly ProblemCode[]): Json {
  return {
    description,
    headers: headers(['Request-Id', 'RateLimit', 'RateLimit-Policy', ...(HEADERS_OF_STATUS[status] ?? [])]),
    content: {
      'application/problem+json': {
        schema: { $ref: '#/components/schemas/Problem' },
        examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
      },
    },
  };
}

// An unsupported method is no operation.
const { method_not_allowed: _, ...KNOWN } = PROBLEMS;
const CODES = Object.keys(KNOWN) as (keyof typeof KNOWN)[];

/** The responses to which those of the routes refer, by name. */
export function problemComponents(): Record<string, Json> {
  const statuses = new Set(CODES.map((code) => PROBLEMS[code][0]));
  return Object.fromEntries(
    [...statuses]
      .filter((status) => !TOLD_APART.includes(status))
      .map((status) => [
        nameOf(status),
        problemResponse(
          status,
          STATUS_CODES[status] ?? '',
          CODES.filter((code) => PROBLEMS[code][0] === status),
        ),
      ]),
  );
}

/** An example of each error, by code. */
export function problemExamples(): Record<string, Json> {
  return Object.fromEntries(
    CODES.map((code) => {
      const { detail = ERROR_GUIDE[code].cause, ...more } = DETAILS[code] ?? {};
      const value = problemBody(new ApiError(code, detail, more), '5f0c6c1e-6a0f-4d0c-9d4e-0a0f3e2b7c11');
      return [code, { summary: PROBLEMS[code][1], value }];
    }),
  );
}

/** What the examples of some errors say instead of their general cause. */
const DETAILS: Partial<
  Record<
    ProblemCode,
    {
      detail?: string;
      errors?: (FieldError & { parameter?: string })[];
      quota?: string;
      reasons?: Obstacle[];
    }
  >
> = {
  validation_failed: {
    detail: '/sla/deadline: must be in the future',
    errors: [{ pointer: '/sla/deadline', message: 'must be in the future' }],
  },
  invalid_query: {
    detail: 'limit must be <= 200',
    errors: [{ pointer: '/limit', message: 'must be <= 200', parameter: 'limit' }],
  },
  quota_exceeded: { quota: 'open_tasks' },
  worker_not_eligible: { reasons: [{ reason: 'trust_level', wanted: 4, has: 2 }] },
};

function nameOf(status: number): string {
  return (STATUS_CODES[status] ?? '').replaceAll(' ', '');
}
