// What is kept of an attempt: the answer as far as it helps whoever looks for a fault, without what is a secret: the
// receiver's cookies, and the credentials we came with, should it send them back.

import type { ErrorClass } from '../../egress/connect.ts';
import { type Attempt, type Delivery, keptAttempts } from '../../store/webhooks/delivery-record.ts';
import type { SendOutcome } from './sender.ts';

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

const UNOPENED: ErrorClass = 'secret_unavailable';

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

/** A delivery whose secrets cannot be opened is looked at again after as long as that has lasted, within these, ms. */
const UNOPENED_WAIT = [1_000, 60_000] as const;

/** How many attempts were made to send it. */
export function attemptsMade({ attempts }: Delivery): number {
  return attempts.filter((one) => one.error_class !== UNOPENED).length;
}

/**
 * A delivery that was not sent because its secrets cannot be opened. It stays pending, whatever its retry policy: it goes
 * out when the right key is there. However often it is looked at, it has one such attempt in a row.
 * @param now ms @returns the delivery as it is recorded, and when to look again, ms
 */
export function unopened(
  delivery: Delivery,
  reason: string,
  now: number,
): { delivery: Delivery; nextAt: number } {
  const last = delivery.attempts.at(-1);
  const isSame = last?.error_class === UNOPENED;
  const at = isSame ? last.at : now;
  const [shortest, longest] = UNOPENED_WAIT;
  const nextAt = Math.ceil(now + Math.min(Math.max(now - at, shortest), longest));
  const attempt: Attempt = {
    at,
    status: null,
    ms: 0,
    error: `Nothing was sent: what signs or authorizes this delivery is ${reason}. The operator must set the right SECRETS_KEY; it is sent then.`,
    error_class: UNOPENED,
    address: null,
    body: '',
    next_attempt_at: nextAt,
    headers: {},
    timings: { queue: null, dns: null, connect: null, tls: null, first_byte: null, body: null },
  };
  const attempts = isSame ? delivery.attempts.slice(0, -1) : delivery.attempts;
  return { delivery: { status: 'pending', attempts: keptAttempts([...attempts, attempt]) }, nextAt };
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
