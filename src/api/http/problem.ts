// Errors as clients see them: problem details (RFC 9457). `ApiError` carries the stable code. Any other error is an internal
// error, and its message is not shown to clients.

import { CheckerBusyError } from '../../output-schema/output-schemas.ts';
import { report } from '../../output-schema/problem.ts';
import type { FieldError } from '../../state/text/field-error.ts';
import { elided, wholeCharacters } from '../../state/text/text.ts';
import type { Obstacle } from '../../state/workers/explain.ts';
import { FileStoreError } from '../../store/evidence/files.ts';
import { isUnavailable } from '../../store/redis/connection.ts';
import { ContendedError } from '../../store/redis/contention.ts';
import { UnconfirmedError } from '../../store/redis/durability.ts';
import { UnopenableError } from '../../store/redis/sealing.ts';
import { UnreadableRecord } from '../../store/redis/unreadable.ts';

/** Stable codes with their status and title. */
export const PROBLEMS = {
  malformed_request: [400, 'Malformed request'],
  malformed_json: [400, 'Malformed JSON'],
  malformed_body: [400, 'Malformed body'],
  invalid_header: [400, 'Invalid header'],
  invalid_query: [400, 'Invalid query'],
  invalid_cursor: [400, 'Invalid cursor'],
  invalid_credential: [401, 'Missing or invalid credential'],
  insufficient_scope: [403, 'Insufficient scope'],
  pool_forbidden: [403, 'Pool forbidden'],
  org_mismatch: [403, 'Wrong org'],
  ip_not_allowed: [403, 'Address not allowed'],
  origin_not_allowed: [403, 'Origin not allowed'],
  org_suspended: [403, 'Org suspended'],
  live_key_required: [403, 'Live key required'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'Method not allowed'],
  request_timeout: [408, 'Request timeout'],
  invalid_transition: [409, 'Invalid transition'],
  task_not_cancellable: [409, 'Task not cancellable'],
  offer_not_pending: [409, 'Offer not pending'],
  idempotency_in_flight: [409, 'First request still running'],
  idempotency_answer_lost: [409, 'First answer lost'],
  question_open: [409, 'A question is open'],
  question_not_open: [409, 'Not the open question'],
  task_not_rejected: [409, 'Task not rejected'],
  already_disputed: [409, 'Already disputed'],
  dispute_too_late: [409, 'Too late to dispute'],
  dispute_not_open: [409, 'No open dispute'],
  already_exists: [409, 'Already exists'],
  would_lock_out: [409, 'Would lock you out'],
  worker_not_eligible: [409, 'Worker not eligible'],
  delivery_in_progress: [409, 'Delivery in progress'],
  endpoint_unavailable: [409, 'Endpoint unavailable'],
  channel_not_usable: [409, 'Channel not usable'],
  replay_in_progress: [409, 'Replay in progress'],
  removal_in_progress: [409, 'Removal in progress'],
  conflict: [409, 'Conflict'],
  version_mismatch: [412, 'Version mismatch'],
  body_too_large: [413, 'Body too large'],
  unsupported_media_type: [415, 'Unsupported media type'],
  expectation_failed: [417, 'Expectation failed'],
  validation_failed: [422, 'Validation failed'],
  quota_exceeded: [422, 'Quota exceeded'],
  idempotency_key_reused: [422, 'Idempotency key reused'],
  rate_limited: [429, 'Rate limited'],
  headers_too_large: [431, 'Headers too large'],
  internal_error: [500, 'Internal error'],
  unavailable: [503, 'Unavailable'],
} as const satisfies Record<string, readonly [status: number, title: string]>;

export type ProblemCode = keyof typeof PROBLEMS;

export type { FieldError };

/** An error that is reported to the client. */
export class ApiError extends Error {
  readonly code: ProblemCode;
  readonly errors: readonly FieldError[] | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Name of the reached limit, for `quota_exceeded`. */
  readonly quota: string | undefined;
  /** What keeps a worker from a task, for `worker_not_eligible`. */
  readonly reasons: readonly Obstacle[] | undefined;

  constructor(
    code: ProblemCode,
    detail: string,
    more: {
      errors?: readonly FieldError[];
      headers?: Record<string, string>;
      quota?: string;
      reasons?: readonly Obstacle[];
    } = {},
  ) {
    super(elided(wholeCharacters(detail), MAX_DETAIL));
    this.name = 'ApiError';
    this.code = code;
    this.errors = more.errors ?? null;
    this.headers = more.headers ?? {};
    this.quota = more.quota;
    this.reasons = more.reasons;
  }

  get status(): number {
    return PROBLEMS[this.code][0];
  }
}

/** 404. The same for a missing resource and for one of another org, so that neither can be told from the other. */
export function notFound(): ApiError {
  return new ApiError('not_found', 'There is no such resource.');
}

/** 403 for every credential of an org that the operator has suspended. */
export function orgSuspended(): ApiError {
  return new ApiError('org_suspended', 'The operator has suspended this org.');
}

/** 405 (RFC 9110, section 15.5.6). @param Allow the supported methods, separated by commas. */
export function methodNotAllowed(method: string, Allow: string): ApiError {
  return new ApiError('method_not_allowed', `This resource does not support ${method}.`, {
    headers: { Allow },
  });
}

/** 409 for an id of a removed pool or worker that has not been emptied yet. */
export function removalInProgress(detail: string): ApiError {
  return new ApiError('removal_in_progress', `${detail} Try again soon.`, {
    headers: { 'Retry-After': '1' },
  });
}

/** 409 for a request that lost against other changes. */
export function supersededRequest(): ApiError {
  return new ApiError('conflict', 'Another request has replaced this one.');
}

/** The page that explains the codes; `type` refers to it, relative to the server (RFC 9457, section 3.1.1). */
const ERRORS_PATH = '/docs/errors';

/** Longest `detail`, in UTF-16 units. */
export const MAX_DETAIL = 1000;

/** 422 for one or more fields, of which the first fifty are reported. */
export function invalid(...faults: FieldError[]): ApiError {
  const errors = report(faults);
  const detail = errors.map((one) => `${one.pointer || 'body'}: ${one.message}`).join('; ');
  return new ApiError('validation_failed', detail, { errors });
}

/** 400 for a query parameter. @param message what it must be, such as `must be before to` */
export function invalidQuery(parameter: string, message: string): ApiError {
  const fault = { pointer: `/${parameter}`, message, parameter };
  return new ApiError('invalid_query', `${parameter} ${message}`, { errors: [fault] });
}

/** @throws ApiError 422 with these errors, if there are any */
export function throwIfAny(errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalid(...errors);
}

/** Converts anything that was thrown to an error for the client. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof UnconfirmedError)
    return new ApiError(
      'unavailable',
      'The change was made, but not all replicas of the database have it yet, and a failover may undo it. ' +
        'Repeat the request with its Idempotency-Key.',
      { headers: { 'Retry-After': '2' } },
    );
  if (isUnavailable(error) || error instanceof FileStoreError || error instanceof ContendedError)
    return new ApiError('unavailable', 'The service is unavailable. Try again soon.', {
      headers: { 'Retry-After': '2' },
    });
  if (error instanceof CheckerBusyError)
    return new ApiError('unavailable', error.message, { headers: { 'Retry-After': '2' } });
  if (error instanceof UnopenableError)
    return new ApiError(
      'unavailable',
      'A secret that this request needs cannot be decrypted. The error has been logged for the operator.',
      {
        headers: { 'Retry-After': '60' },
      },
    );
  // During a deployment another process may be able to read it.
  if (error instanceof UnreadableRecord && error.kind === 'newer')
    return new ApiError(
      'unavailable',
      'This record cannot be read yet by the process that you reached. Try again soon.',
      {
        headers: { 'Retry-After': '5' },
      },
    );
  return new ApiError('internal_error', 'Internal error. Quote the request_id when you report it.');
}

/** The problem document. */
export function problemBody(error: ApiError, requestId: string): Record<string, unknown> {
  const [status, title] = PROBLEMS[error.code];
  return {
    type: `${ERRORS_PATH}#${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    request_id: requestId,
    ...(error.errors !== null && { errors: error.errors }),
    ...(error.quota !== undefined && { quota: error.quota }),
    ...(error.reasons !== undefined && { reasons: error.reasons }),
  };
}
