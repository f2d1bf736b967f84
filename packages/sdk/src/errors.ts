// What the client throws. Every error of this package extends `BioLayerError`, and its message says what to do next.

import type { Problem, Task } from './generated/client.ts';

/** Base class of all errors of this package. */
export class BioLayerError extends Error {
  override readonly name: string = 'BioLayerError';
}

/** The server refused the request. `code` is stable; `errors` names each wrong field by its JSON pointer. */
export class ApiError extends BioLayerError {
  override readonly name = 'ApiError';
  readonly status: number;
  /**
   * Stable code of the problem, such as `validation_failed`; `unknown` when the answer was not a problem document,
   * `redirected` or `not_json` when another server answered.
   */
  readonly code: string;
  readonly detail: string;
  readonly errors: readonly { pointer: string; message: string }[];
  /** Name the server gave the request; null when something between client and server answered. */
  readonly requestId: string | null;
  /** Seconds after which to try again, if the server said so. */
  readonly retryAfterSeconds: number | null;
  /** The whole problem document (RFC 9457), if there was one. */
  readonly problem: Problem | null;

  constructor(response: Response, body: unknown) {
    const problem = isProblem(body) ? body : null;
    const detail = problem?.detail ?? `The answer was no problem document: ${excerpt(body)}`;
    const fields = (problem?.errors ?? []).map(({ pointer, message }) => `\n  ${pointer || '/'}: ${message}`);
    // The detail of a problem with wrong fields repeats them in one line.
    const text = problem !== null && fields.length > 0 ? problem.title + fields.join('') : detail;
    super(`${response.status} ${problem?.code ?? 'unknown'}: ${text}${remedy(response.status)}`);
    this.status = response.status;
    this.code = problem?.code ?? 'unknown';
    this.detail = detail;
    this.errors = problem?.errors ?? [];
    this.requestId = problem?.request_id ?? response.headers.get('request-id');
    this.retryAfterSeconds = retryAfter(response);
    this.problem = problem;
  }
}

/** No answer came: the server cannot be reached, or the connection broke. `cause` has the reason. */
export class ConnectionError extends BioLayerError {
  override readonly name = 'ConnectionError';
  /** Where the request went, such as `http://127.0.0.1:3000`. */
  readonly origin: string;
  /** Why there was no answer, such as `connect ECONNREFUSED 127.0.0.1:3000`. */
  readonly reason: string;

  constructor(url: string, cause: unknown) {
    const { origin } = new URL(url);
    const reason = reasonOf(cause);
    super(`No answer from ${origin}: ${reason}. Check baseUrl and that the server runs.`, { cause });
    this.origin = origin;
    this.reason = reason;
  }
}

/** The server did not answer within `timeoutMs`. */
export class TimeoutError extends BioLayerError {
  override readonly name = 'TimeoutError';
  readonly origin: string;
  readonly timeoutMs: number;

  constructor(url: string, timeoutMs: number, cause: unknown) {
    const { origin } = new URL(url);
    super(`No answer from ${origin} within ${timeoutMs} ms. Raise timeoutMs, or try again later.`, { cause });
    this.origin = origin;
    this.timeoutMs = timeoutMs;
  }
}

/** A task was not final when the time to wait for it was over. It goes on: wait again with its id. */
export class WaitTimeoutError extends BioLayerError {
  override readonly name = 'WaitTimeoutError';
  readonly taskId: string;
  /** The last state that was seen; null when the server never answered. */
  readonly task: Task | null;

  constructor(taskId: string, task: Task | null, cause?: unknown) {
    const state = task === null ? 'could not be read' : `is ${task.status}`;
    super(`Task ${taskId} ${state} after the time to wait. Wait again with tasks.waitFor('${taskId}').`, {
      cause,
    });
    this.taskId = taskId;
    this.task = task;
  }
}

/** A task ended without a result: it failed or was cancelled. */
export class TaskNotCompletedError extends BioLayerError {
  override readonly name = 'TaskNotCompletedError';
  readonly task: Task;

  constructor(task: Task) {
    const failure = task.failure === null ? '' : ` (${task.failure.code}: ${task.failure.message})`;
    super(`Task ${task.task_id} is ${task.status}${failure}, so there is no result.`);
    this.task = task;
  }
}

/** The output of a completed task does not fit the validator that the caller gave. */
export class OutputError extends BioLayerError {
  override readonly name = 'OutputError';
  readonly task: Task;
  readonly issues: readonly { message: string }[];

  constructor(task: Task, issues: readonly { message: string }[]) {
    super(`The output of task ${task.task_id} is not valid: ${issues.map((one) => one.message).join('; ')}`);
    this.task = task;
    this.issues = issues;
  }
}

/** A webhook's signature is wrong, too old, or its body is no event. Answer 400 and do nothing with it. */
export class WebhookVerificationError extends BioLayerError {
  override readonly name = 'WebhookVerificationError';
}

/** Seconds of a `Retry-After` header (RFC 9110, section 10.2.3); null without one. */
export function retryAfter(response: Response): number | null {
  const header = response.headers.get('retry-after');
  if (header === null) return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds);
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, (at - Date.now()) / 1000);
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'detail' in body && 'status' in body;
}

function remedy(status: number): string {
  if (status === 401) return ' Check apiKey.';
  if (status === 429) return ' Send fewer requests, or retry after retryAfterSeconds.';
  return '';
}

function excerpt(body: unknown): string {
  const text = typeof body === 'string' ? body : (JSON.stringify(body) ?? 'nothing');
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  // fetch says only "fetch failed"; the reason is in its cause, which has several when several addresses were tried.
  const inner = cause.cause instanceof AggregateError ? cause.cause.errors[0] : cause.cause;
  return inner instanceof Error ? inner.message || String(inner) : cause.message;
}
