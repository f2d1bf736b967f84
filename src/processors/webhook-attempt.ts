// What is kept of an attempt: the answer as far as it helps whoever looks for a fault, without what is a secret: the
// receiver's cookies, and the credentials we came with, should it send them back.

import type { Attempt } from '../store/delivery-record.ts';
import type { SendOutcome } from './webhook-sender.ts';

/** What of the answer's headers is of the connection (RFC 9110, 7.6.1), or known from the attempt itself. */
const NOT_KEPT = new Set([
  'connection',
  'date',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'proxy-connection',
]);
/** As much of the headers' text as is kept, characters. */
const KEPT_HEADERS = 2048;

/** Shorter values of headers are no secrets, and are found in any text. */
const SECRET_LENGTH = 8;
const REDACTED = '[redacted]';

function keptHeaders(headers: Record<string, string>): Record<string, string> {
  let left = KEPT_HEADERS;
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    left -= name.length + value.length;
    if (left < 0) break;
    // What the receiver tells a client to remember is a secret of theirs.
    if (!NOT_KEPT.has(name)) kept[name] = name === 'set-cookie' ? REDACTED : value;
  }
  return kept;
}

/**
 * The record of an attempt.
 * @param at when it began, ms. @param nextAt when the next is due, ms; null for none.
 * @param sent values of the receiver's own headers: where the answer gives one back, the record does not have it.
 */
export function attemptOf(
  outcome: SendOutcome,
  at: number,
  nextAt: number | null,
  sent: readonly string[],
): Attempt {
  const { phases } = outcome;
  const secrets = sent.flatMap(secretsIn);
  const clean = (text: string) => secrets.reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text);
  const headers = Object.entries(keptHeaders(outcome.responseHeaders));
  return {
    at,
    status: outcome.status,
    ms: Math.round(outcome.ms),
    error: outcome.error === null ? null : clean(outcome.error),
    error_class: outcome.errorClass,
    address: outcome.address,
    body: clean(outcome.body),
    next_attempt_at: nextAt,
    headers: Object.fromEntries(headers.map(([name, value]) => [name, clean(value)])),
    timings: {
      queue: phases.queueMs,
      dns: phases.dnsMs,
      connect: phases.connectMs,
      tls: phases.tlsMs,
      first_byte: phases.firstByteMs,
      body: phases.bodyMs,
    },
  };
}

/** The value itself, what stands behind its scheme, and what that says in Base64 (RFC 7617: name and password). */
function secretsIn(value: string): string[] {
  const [, scheme = '', credentials = ''] = /^(\S+) (\S+)$/.exec(value) ?? [];
  const plain = scheme.toLowerCase() === 'basic' ? Buffer.from(credentials, 'base64').toString() : '';
  const password = plain.slice(plain.indexOf(':') + 1);
  return [value, credentials, plain, password].filter((one) => one.length >= SECRET_LENGTH);
}
