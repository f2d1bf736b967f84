// Errors as clients see them: RFC 9457 problem details. One class carries the stable code and the status;
// anything else that is thrown is a fault of ours and shows nothing of itself.

import { CheckerBusyError } from '../../output-schema/output-schemas.ts';
import { report } from '../../output-schema/problem.ts';
import { elided, wholeCharacters } from '../../state/text/text.ts';
import { FileStoreError } from '../../store/evidence/files.ts';
import { isUnavailable } from '../../store/redis/connection.ts';
import { ContendedError } from '../../store/redis/contention.ts';
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
  invalid_credential: [401, 'No or bad credential'],
  insufficient_scope: [403, 'Insufficient scope'],
  pool_forbidden: [403, 'Pool forbidden'],
  org_mismatch: [403, 'Wrong org'],
  ip_not_allowed: [403, 'Address not allowed'],
  live_key_required: [403, 'Live key required'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'Method not allowed'],
  request_timeout: [408, 'Request timeout'],
  invalid_transition: [409, 'Invalid transition'],
  task_not_cancellable: [409, 'Task not cancellable'],
  offer_not_pending: [409, 'Offer not pending'],
  idempotency_in_flight: [409, 'First request still running'],
  idempotency_answer_lost: [409, 'First answer lost'],
  already_exists: [409, 'Already exists'],
  would_lock_out: [409, 'Would lock you out'],
  delivery_in_progress: [409, 'Delivery in progress'],
  endpoint_unavailable: [409, 'Endpoint unavailable'],
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

/** What is wrong with one place of the body; `pointer` is a JSON Pointer (RFC 6901). */
export interface FieldError {
  pointer: string;
  message: string;
}

/** An error meant for the client. */
export class ApiError extends Error {
  readonly code: ProblemCode;
  readonly errors: readonly FieldError[] | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Name of the limit that is reached. */
  readonly quota: string | undefined;

  constructor(
    code: ProblemCode,
    detail: string,
    more: { errors?: readonly FieldError[]; headers?: Record<string, string>; quota?: string } = {},
  ) {
    super(elided(wholeCharacters(detail), MOST_DETAIL));
    this.name = 'ApiError';
    this.code = code;
    this.errors = more.errors ?? null;
    this.headers = more.headers ?? {};
    this.quota = more.quota;
  }

  get status(): number {
    return PROBLEMS[this.code][0];
  }
}

/** The one answer for what is not there and for what is another's. */
export function notFound(): ApiError {
  return new ApiError('not_found', 'There is nothing here by that name.');
}

/** 405 (RFC 9110, section 15.5.6). @param Allow the methods that there are, separated by commas */
export function methodNotAllowed(method: string, Allow: string): ApiError {
  return new ApiError('method_not_allowed', `This does not take ${method}.`, { headers: { Allow } });
}

/** 409 for an id whose removed pool or worker has not been emptied yet. */
export function removalInProgress(detail: string): ApiError {
  return new ApiError('removal_in_progress', `${detail} Try again soon.`, {
    headers: { 'Retry-After': '1' },
  });
}

/** 409 for a change that was not made since its Idempotency-Key is another request's by now, or things keep changing. */
export function takenOver(): ApiError {
  return new ApiError('conflict', 'The request was taken over by another.');
}

/** Longest text of a detail, in UTF-16 units. */
const MOST_DETAIL = 1000;

/** 422 for one or more fields, of which the first fifty are told. */
export function invalid(...faults: FieldError[]): ApiError {
  const errors = report(faults);
  const detail = errors.map((one) => `${one.pointer || 'body'}: ${one.message}`).join('; ');
  return new ApiError('validation_failed', detail, { errors });
}

/** What to tell the client of anything that was thrown. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (isUnavailable(error) || error instanceof FileStoreError || error instanceof ContendedError)
    return new ApiError('unavailable', 'The service cannot take this now. Try again soon.', {
      headers: { 'Retry-After': '2' },
    });
  if (error instanceof CheckerBusyError)
    return new ApiError('unavailable', error.message, { headers: { 'Retry-After': '2' } });
  if (error instanceof UnopenableError)
    return new ApiError(
      'unavailable',
      'A secret that this needs cannot be opened: the operator of this service knows.',
      {
        headers: { 'Retry-After': '60' },
      },
    );
  // In the middle of a deployment another process may be able to read it.
  if (error instanceof UnreadableRecord && error.kind === 'newer')
    return new ApiError('unavailable', 'This cannot be read here yet. Try again soon.', {
      headers: { 'Retry-After': '5' },
    });
  return new ApiError('internal_error', 'Something went wrong on our side.');
}

/** The body of a problem answer. */
export function problemBody(error: ApiError, requestId: string): Record<string, unknown> {
  const [status, title] = PROBLEMS[error.code];
  return {
    type: `urn:biolayer:problem:${error.code}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    request_id: requestId,
    ...(error.errors !== null && { errors: error.errors }),
    ...(error.quota !== undefined && { quota: error.quota }),
  };
}
