// The record of an attempt: as much of the response as helps to find a fault, without secrets. Cookies of the receiver
// are redacted, and so are the credentials that we sent, in case the receiver echoes them.

import type { ErrorClass } from '../../egress/connect.ts';
import type { Attempt } from '../../store/webhooks/delivery-attempt.ts';
import { type Delivery, keptAttempts } from '../../store/webhooks/delivery-record.ts';
import type { SendOutcome } from './sender.ts';

/** Response headers that are not recorded: they belong to the connection (RFC 9110, 7.6.1) or repeat the attempt. */
const NOT_KEPT = new Set([
  'connection',
  'date',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
  'proxy-connection',
]);
/** Characters of header names and values that are kept. */
const KEPT_HEADERS = 2048;

/** Header values shorter than this are not secrets, and would match in any text. */
const SECRET_LENGTH = 8;
const REDACTED = '[redacted]';

const UNOPENED: ErrorClass = 'secret_unavailable';

/** @param clean redacts credentials in a text */
function keptHeaders(
  headers: Record<string, string>,
  clean: (text: string) => string,
): Record<string, string> {
  let left = KEPT_HEADERS;
  const kept: Record<string, string> = {};
  for (const name of Object.keys(headers)) {
    const value = headers[name] ?? '';
    left -= name.length + value.length;
    if (left < 0) break;
    // A cookie is a secret of the receiver.
    if (!NOT_KEPT.has(name)) kept[name] = name === 'set-cookie' ? REDACTED : clean(value);
  }
  return kept;
}

/** Bounds of the wait before another try to open the secrets, ms; in between, it is as long as the fault has lasted. */
const UNOPENED_WAIT = [1_000, 60_000] as const;

/** Number of attempts that sent a request; those that could not open the secrets do not count. */
export function attemptsMade({ attempts }: Delivery): number {
  return attempts.filter((one) => one.error_class !== UNOPENED).length;
}

/**
 * The result for a delivery whose secrets cannot be opened. It stays pending, whatever its retry policy, and is sent once
 * the right key is set. Consecutive attempts of this kind are recorded as one.
 * @param now ms @returns the delivery to record, and when to try again, ms
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
    error: `Nothing was sent: the secret that signs or authorizes this delivery is ${reason}. The delivery is sent once the operator sets the right SECRETS_KEY.`,
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
 * @param at when it began, ms. @param nextAt when the next attempt is due, ms; null for none.
 * @param sent values of the receiver's own headers, which are redacted where the response repeats them.
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
  return {
    at,
    status: outcome.status,
    ms: Math.round(outcome.ms),
    error: outcome.error === null ? null : clean(outcome.error),
    error_class: outcome.errorClass,
    address: outcome.address,
    body: clean(outcome.body),
    next_attempt_at: nextAt,
    headers: keptHeaders(outcome.responseHeaders, clean),
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

/** A header's value, the credentials behind its scheme, and for Basic (RFC 7617) their decoded text and password. */
function secretsIn(value: string): string[] {
  const [, scheme = '', credentials = ''] = /^(\S+) (\S+)$/.exec(value) ?? [];
  const plain = scheme.toLowerCase() === 'basic' ? Buffer.from(credentials, 'base64').toString() : '';
  const password = plain.slice(plain.indexOf(':') + 1);
  return [value, credentials, plain, password].filter((one) => one.length >= SECRET_LENGTH);
}
