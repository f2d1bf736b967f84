// The errors of the OpenAPI document: which codes each operation can return, and the responses with them.

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

/** Every operation has this one within itself: redocly score does not follow references to responses. */
const NEVER_SHARED = 400;

/**
 * The error responses of all routes. Those that several operations share are components, named after their codes; otherwise
 * they would be a third of the document.
 */
export class ProblemResponses {
  /** By name, for the components of the document. */
  readonly components: Record<string, Json> = {};

  constructor(routes: readonly Route[]) {
    const names = routes.flatMap((route) => Object.values(codesByStatus(route)).map(nameOf));
    for (const route of routes)
      for (const codes of Object.values(codesByStatus(route))) {
        const name = nameOf(codes);
        const isShared = names.indexOf(name) !== names.lastIndexOf(name) && statusOf(codes) !== NEVER_SHARED;
        if (isShared) this.components[name] ??= problemResponse(codes);
      }
  }

  /** The error responses of a route, by status. Their descriptions list the codes; they have an example of each. */
  of(route: Route): Record<string, Json> {
    const entries = Object.entries(codesByStatus(route)).map(([status, codes]) => {
      const name = nameOf(codes);
      const isShared = name in this.components;
      return [status, isShared ? { $ref: `#/components/responses/${name}` } : problemResponse(codes)];
    });
    return Object.fromEntries(entries) as Record<string, Json>;
  }
}

function codesByStatus(route: Route): Record<string, ProblemCode[]> {
  const byStatus: Record<string, ProblemCode[]> = {};
  for (const code of codesOf(route)) {
    const [status] = PROBLEMS[code];
    byStatus[status] = [...(byStatus[status] ?? []), code];
  }
  return byStatus;
}

/** @param codes of one status, at least one */
function problemResponse(codes: readonly ProblemCode[]): Json {
  const status = statusOf(codes);
  return {
    description: codes.map((code) => `\`${code}\``).join(', '),
    headers: headers(['Request-Id', 'RateLimit', 'RateLimit-Policy', ...(HEADERS_OF_STATUS[status] ?? [])]),
    content: {
      'application/problem+json': {
        schema: { $ref: '#/components/schemas/Problem' },
        examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
      },
    },
  };
}

function statusOf([code]: readonly ProblemCode[]): number {
  if (code === undefined) throw new Error('an error response has at least one code');
  return PROBLEMS[code][0];
}

/** The name of a response with these codes: of its status, and of the codes if that status can have several. */
function nameOf(codes: readonly ProblemCode[]): string {
  const status = statusOf(codes);
  const name = (STATUS_CODES[status] ?? '').replaceAll(' ', '');
  const hasSeveral = CODES.filter((code) => PROBLEMS[code][0] === status).length > 1;
  return hasSeveral ? [name, ...codes].join('.') : name;
}

// An unsupported method is no operation.
const { method_not_allowed: _, ...KNOWN } = PROBLEMS;
const CODES = Object.keys(KNOWN) as (keyof typeof KNOWN)[];

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
