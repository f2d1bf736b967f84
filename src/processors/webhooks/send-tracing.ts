// A span for each request of a webhook delivery, which the receiver can continue by the header `traceparent`. Of the URL only
// the host is recorded, because the rest may hold a secret.

import { SpanKind } from '@opentelemetry/api';
import { inSpan, isTracing, markFailed, traceHeaders } from '../../tracing/tracing.ts';
import type { SendOutcome, SendRequest, WebhookSender } from './sender.ts';

/** Sends a request, with a span and its header while traces are on. @param attemptsBefore of the same delivery */
export function sendTraced(
  sender: WebhookSender,
  request: SendRequest,
  attemptsBefore: number,
): Promise<SendOutcome> {
  if (!isTracing()) return sender.send(request);
  const url = URL.canParse(request.url) ? new URL(request.url) : null;
  const attributes = {
    'http.request.method': 'POST',
    'server.address': url?.hostname,
    'server.port': url === null ? undefined : Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
    'http.request.resend_count': attemptsBefore || undefined,
  };
  return inSpan('POST', { kind: SpanKind.CLIENT, attributes }, async (span) => {
    // An endpoint may have a header of this name.
    const isGiven = Object.keys(request.headers).some((name) => name.toLowerCase() === 'traceparent');
    const headers = isGiven ? request.headers : { ...request.headers, ...traceHeaders() };
    const outcome = await sender.send({ ...request, headers });
    if (outcome.status !== null) span?.setAttribute('http.response.status_code', outcome.status);
    if (!outcome.ok && span !== undefined)
      markFailed(span, outcome.errorClass ?? String(outcome.status ?? 'unknown'));
    return outcome;
  });
}
