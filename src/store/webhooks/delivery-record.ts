// The record of a delivery (its status and attempts) and its stored form.

import { pack, unpack } from 'msgpackr';
import { broken, type Read } from '../../state/text/forms.ts';

/** Durations of the phases of an attempt, ms; null for a phase that was not reached or not needed. */
interface Timings {
  queue: number | null;
  dns: number | null;
  connect: number | null;
  tls: number | null;
  first_byte: number | null;
  body: number | null;
}

export interface Attempt {
  at: number;
  status: number | null;
  ms: number;
  error: string | null;
  error_class: string | null;
  address: string | null;
  /** First 4 KiB of the response. */
  body: string;
  next_attempt_at: number | null;
  headers: Record<string, string>;
  timings: Timings;
}

export const DELIVERY_STATUSES = ['pending', 'succeeded', 'exhausted', 'stopped'] as const;
/**
 * `pending`: to be sent. `exhausted`: all retries failed. `stopped`: there is no receiver left, after a 410 to another
 * event of the task, or because the endpoint was disabled or removed.
 */
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export interface Delivery {
  status: DeliveryStatus;
  attempts: Attempt[];
  /** Elements that a newer version added; kept as they are. */
  more?: readonly unknown[];
}

/** Attempts kept of a delivery: the first and the last. More than a retry policy allows, so only redeliveries exceed it. */
const FIRST_KEPT = 5;
const LAST_KEPT = 45;

/** Shortens a list of attempts that many redeliveries have made long: keeps the first few and the last ones. */
export function keptAttempts(attempts: readonly Attempt[]): Attempt[] {
  if (attempts.length <= FIRST_KEPT + LAST_KEPT) return [...attempts];
  return [...attempts.slice(0, FIRST_KEPT), ...attempts.slice(-LAST_KEPT)];
}

type PackedAttempt = [
  at: number,
  status: number | null,
  ms: number,
  error: string | null,
  errorClass: string | null,
  address: string | null,
  body: string,
  next: number | null,
  headers: string[],
  /** Tenths of milliseconds. */
  timings: (number | null)[],
];

/**
 * Attempts in the stored form they were read in. An attempt never changes, so it is written back unchanged, with any
 * elements that a newer version added.
 */
const asRead = new WeakMap<Attempt, PackedAttempt>();

/**
 * The stored form: MessagePack of bare arrays. A delivery that succeeded at the first attempt fits into the 64 bytes up
 * to which Redis encodes a hash compactly.
 */
export function packDelivery({ status, attempts, more = [] }: Delivery): Buffer {
  const packed = attempts.map((one) => asRead.get(one) ?? packAttempt(one));
  return pack([DELIVERY_STATUSES.indexOf(status), ...packed, ...more]);
}

function packAttempt(attempt: Attempt): PackedAttempt {
  const tenths = (ms: number | null) => (ms === null ? null : Math.round(ms * 10));
  const { at, status, ms, error, error_class, address, body, next_attempt_at, headers, timings } = attempt;
  const { queue, dns, connect, tls, first_byte, body: whole } = timings;
  return [
    at,
    status,
    ms,
    error,
    error_class,
    address,
    body,
    next_attempt_at,
    Object.entries(headers).flat(),
    [queue, dns, connect, tls, first_byte, whole].map(tenths),
  ];
}

/**
 * Reads the stored form. A format version that older processes cannot read starts with its negated number instead of the
 * status: -2 for the second one. Elements after the status that are not lists come from a newer version and are kept.
 * @param stored empty or absent before the first attempt.
 */
export function readDelivery(stored: Buffer | null | undefined): Read<Delivery> {
  if (!stored?.length) return { kind: 'known', value: { status: 'pending', attempts: [] } };
  let value: unknown;
  try {
    value = unpack(stored);
  } catch {
    return broken('not MessagePack');
  }
  if (!Array.isArray(value)) return broken('not a delivery');
  const [first, ...rest] = value as unknown[];
  if (Number.isInteger(first) && Number(first) < -1) return { kind: 'newer', form: -Number(first) };
  const status = DELIVERY_STATUSES[Number(first)];
  if (typeof first !== 'number' || status === undefined) return broken('of no known status');
  const attempts = rest.filter((one) => Array.isArray(one));
  if (!attempts.every(isPackedAttempt)) return broken('an attempt is none');
  const more = rest.filter((one) => !Array.isArray(one));
  return {
    kind: 'known',
    value: { status, attempts: attempts.map(unpackAttempt), ...(more.length > 0 && { more }) },
  };
}

function isPackedAttempt(value: unknown): value is PackedAttempt {
  if (!Array.isArray(value)) return false;
  const [at, status, ms, error, errorClass, address, body, next, headers, timings] = value as unknown[];
  const isNumber = (one: unknown) => Number.isFinite(one);
  const isText = (one: unknown) => typeof one === 'string';
  return (
    isNumber(at) &&
    isNumber(ms) &&
    isText(body) &&
    [status, next].every((one) => one === null || isNumber(one)) &&
    [error, errorClass, address].every((one) => one === null || isText(one)) &&
    Array.isArray(headers) &&
    headers.every(isText) &&
    Array.isArray(timings) &&
    timings.every((one) => one === null || isNumber(one))
  );
}

function unpackAttempt(packed: PackedAttempt): Attempt {
  const [at, status, ms, error, error_class, address, body, next_attempt_at, flat, tenths] = packed;
  const times = tenths.map((one) => (one === null ? null : one / 10));
  const [queue = null, dns = null, connect = null, tls = null, first_byte = null, whole = null] = times;
  const headers: Record<string, string> = {};
  for (let index = 0; index < flat.length; index += 2) headers[flat[index] ?? ''] = flat[index + 1] ?? '';
  const timings = { queue, dns, connect, tls, first_byte, body: whole };
  const attempt = { at, status, ms, error, error_class, address, body, next_attempt_at, headers, timings };
  asRead.set(attempt, packed);
  return attempt;
}
