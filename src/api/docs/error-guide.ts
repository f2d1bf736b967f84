// The page of error codes, `/docs/errors`, to which `type` of a problem refers. docs/errors.md has the same texts.

import { PROBLEMS, type ProblemCode } from '../http/problem.ts';

/** What causes each problem, and what its caller can do, in Markdown without links. */
export const ERROR_GUIDE: Readonly<Record<ProblemCode, { cause: string; remedy: string }>> = {
  malformed_request: {
    cause: 'The server could not read the request: bad framing, an unsupported encoding, or an invalid URL.',
    remedy: 'Send it with an ordinary HTTP client, and percent-encode the path.',
  },
  malformed_json: {
    cause: 'The body is missing where one is required, or is not JSON in UTF-8.',
    remedy: 'Send JSON; `detail` says where reading it failed.',
  },
  malformed_body: {
    cause: 'The body of an upload is not what its `Content-Type` says, or ended too early.',
    remedy: 'Send it again as `multipart/form-data` with all parts.',
  },
  invalid_header: {
    cause: 'A header has a value that it cannot have, such as an `If-Match` without quotes.',
    remedy: 'Correct the header that `detail` names.',
  },
  invalid_query: {
    cause: 'A query parameter is unknown, given twice or has a value that it cannot have.',
    remedy: 'Correct the parameters in `errors`.',
  },
  invalid_cursor: {
    cause: 'The cursor is not one of this list with these filters, or is too old.',
    remedy: 'Start again without `cursor`, with the same filters for all pages.',
  },
  invalid_credential: {
    cause: 'There is no credential, or it is unknown, expired or revoked.',
    remedy: 'Send `Authorization: Bearer …` with a valid key or token; a leader of the org can create one.',
  },
  insufficient_scope: {
    cause: 'The credential lacks the scope that this route requires.',
    remedy: 'Use a credential with the scope that `detail` names.',
  },
  pool_forbidden: {
    cause: 'The credential is for other pools than the one that this is about.',
    remedy: 'Use a credential for this pool, or name one of its own pools.',
  },
  org_mismatch: {
    cause: '`origin.org_id` is not the org of the credential.',
    remedy: 'Leave `origin.org_id` out, or send the id of the org itself.',
  },
  ip_not_allowed: {
    cause: 'The org allows requests only from other addresses.',
    remedy:
      'Call from an allowed network, or change `ip_allowlist`. Behind a proxy, check `TRUSTED_PROXIES`.',
  },
  origin_not_allowed: {
    cause: 'A page of another origin called the MCP endpoint, or sent a request with a session cookie.',
    remedy: 'Ask the operator to add the origin to `CORS_ORIGINS`; send a credential instead of a cookie.',
  },
  org_suspended: {
    cause: 'The operator has suspended the org.',
    remedy: 'Ask the operator to resume it.',
  },
  live_key_required: {
    cause: 'A test key called a route for live keys only.',
    remedy: 'Use a live key (`blk_live_…`).',
  },
  not_found: {
    cause: 'There is no such resource, or it belongs to another org or pool.',
    remedy: 'Check the id, and whether a live or a test key created it.',
  },
  method_not_allowed: {
    cause: 'The path does not support this method.',
    remedy: 'Use one of the methods in the header `Allow`.',
  },
  request_timeout: {
    cause: 'The request did not arrive in time.',
    remedy: 'Send it again over a faster connection.',
  },
  invalid_transition: {
    cause: 'The state of the task, bulk action or replay does not allow this change.',
    remedy: 'Read it again, and act on its current state; see the table of transitions.',
  },
  task_not_cancellable: {
    cause: 'The task is final.',
    remedy: 'Nothing; its result stands.',
  },
  offer_not_pending: {
    cause: 'The offer was accepted, declined or revoked, or has expired.',
    remedy: 'Read the current offers.',
  },
  idempotency_in_flight: {
    cause:
      'The first request with this `Idempotency-Key` is still running, or was held up and changed nothing.',
    remedy: 'Wait for the time in `Retry-After` and send the same request again.',
  },
  idempotency_answer_lost: {
    cause: 'The first request succeeded, but its response was not stored.',
    remedy: 'Look up what it made, for instance by `metadata`; do not send it again with a new key.',
  },
  question_open: {
    cause: 'The task has an open question already.',
    remedy: 'Wait for the answer, or send a message that is no question.',
  },
  question_not_open: {
    cause: '`answers` names a message that is not the open question.',
    remedy: 'Read `open_question` of the task.',
  },
  task_not_rejected: {
    cause: 'Only a task whose submission was rejected can be disputed.',
    remedy: 'Nothing; there is no decision to dispute.',
  },
  already_disputed: {
    cause: 'The decision has been disputed before.',
    remedy: 'Wait for the decision about the dispute.',
  },
  dispute_too_late: {
    cause: 'The time in which a rejection can be disputed has passed.',
    remedy: 'Nothing; the decision stands.',
  },
  dispute_not_open: {
    cause: 'The task has no open dispute.',
    remedy: 'Read `dispute` of the task.',
  },
  already_exists: {
    cause: 'There is a resource with this id, name or address.',
    remedy: 'Choose another one, or change the existing resource.',
  },
  would_lock_out: {
    cause: 'The change would exclude the credential or address that makes it.',
    remedy: 'Make it from an address and with a credential that remain permitted.',
  },
  worker_not_eligible: {
    cause: 'The worker does not meet the requirements of the task, or is not available.',
    remedy: 'Read `reasons`; choose another worker, or `force` where that is permitted.',
  },
  delivery_in_progress: {
    cause: 'An attempt of this delivery is running.',
    remedy: 'Wait until it ends, at most half a minute.',
  },
  endpoint_unavailable: {
    cause: 'The webhook endpoint is disabled or was removed.',
    remedy: 'Enable it first, or create another one.',
  },
  channel_not_usable: {
    cause: 'The notification channel is disabled, or its address is not confirmed yet.',
    remedy: 'Enable the channel, or confirm the address with the code that was sent to it.',
  },
  replay_in_progress: {
    cause: 'The endpoint has a running replay.',
    remedy: 'Wait until it ends, or cancel it.',
  },
  removal_in_progress: {
    cause: 'A removed pool or worker with this id still has tasks in hand.',
    remedy: 'Wait for the time in `Retry-After` and try again.',
  },
  conflict: {
    cause: 'Other changes were made at the same time, several times in a row.',
    remedy: 'Read the resource, and send the change again if it still applies.',
  },
  version_mismatch: {
    cause: '`If-Match` names another version than the current one.',
    remedy: 'Read the resource, and repeat the change with its current `ETag`.',
  },
  body_too_large: {
    cause: 'The body or file is larger than the limit.',
    remedy: 'Send less; `detail` names the limit.',
  },
  unsupported_media_type: {
    cause: 'The route does not accept this `Content-Type`.',
    remedy: 'Send `application/json`, or the type that the route documents.',
  },
  expectation_failed: {
    cause: 'The header `Expect` asks for something other than `100-continue`.',
    remedy: 'Leave the header out.',
  },
  validation_failed: {
    cause: 'The body breaks the schema or a rule.',
    remedy: 'Correct all fields in `errors`; each has a JSON Pointer into the body.',
  },
  quota_exceeded: {
    cause: 'A limit of the org or of one resource is reached; `quota` names it.',
    remedy: 'Finish or remove something, or ask the operator for a higher limit.',
  },
  idempotency_key_reused: {
    cause: 'The `Idempotency-Key` was used before with another body, path or credential.',
    remedy: 'Use a new key for each new request.',
  },
  rate_limited: {
    cause: 'Too many requests, connections or bytes at a time.',
    remedy: 'Wait for the time in `Retry-After`; spread the requests.',
  },
  headers_too_large: {
    cause: 'The headers are larger than 16 KiB.',
    remedy: 'Send fewer or shorter headers.',
  },
  internal_error: {
    cause: 'The server made an error.',
    remedy: 'Quote `request_id` to the operator. A repetition with the same `Idempotency-Key` is safe.',
  },
  unavailable: {
    cause: 'Redis, the file store or another part is not available, or the server is at its limits.',
    remedy: 'Wait for the time in `Retry-After` and send the request again, with the same `Idempotency-Key`.',
  },
};

/** The page as HTML: one heading for each code, by which `type` finds it. */
export function errorsPage(): string {
  const sections = Object.entries(PROBLEMS).map(([code, [status, title]]) => {
    // A key of PROBLEMS is a code.
    const { cause, remedy } = ERROR_GUIDE[code as ProblemCode];
    return `<h2 id="${code}"><code>${code}</code> · ${status} ${title}</h2>
<p>${html(cause)}</p>
<p>What to do: ${html(remedy)}</p>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>BioLayer error codes</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/page.css">
</head>
<body>
<main class="errors">
<h1>Error codes</h1>
<p>Every error is a problem document (RFC 9457) with a stable <code>code</code>. See also the <a href="/docs">API reference</a>.</p>
${sections.join('\n')}
</main>
</body>
</html>
`;
}

/** Our own text with its code marks as elements. */
function html(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll(/`([^`]*)`/g, '<code>$1</code>');
}
