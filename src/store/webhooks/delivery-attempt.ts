// An attempt of a delivery and its two stored forms: a list; or bytes, for one that succeeded, as nearly all do, and most tasks
// have one for every event. Processes that do not know the bytes keep them.
//
// The bytes: a varint of the time, HTTP status less 200, a byte that says which of the six timings follow (bits 0 to 5) and
// whether an IPv4 address does (bit 6), the address, then varints of the duration and of the timings in tenths of ms. If the answer
// had a body or headers, MessagePack of a list follows: the body, then names and values.

import { isIPv4 } from 'node:net';
import { pack, unpack } from 'msgpackr';
import { ByteReader, ByteWriter } from '../redis/bytes.ts';

/** The phases of an attempt, in the order in which their durations are stored. */
const PHASES = ['queue', 'dns', 'connect', 'tls', 'first_byte', 'body'] as const;

/** Durations of the phases of an attempt, ms; null for a phase that was not reached or not needed. */
type Timings = Record<(typeof PHASES)[number], number | null>;

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
const asRead = new WeakMap<Attempt, PackedAttempt | Uint8Array>();

/** The stored form of an attempt. */
export function packAttempt(attempt: Attempt): PackedAttempt | Uint8Array {
  return asRead.get(attempt) ?? packSuccess(attempt) ?? packList(attempt);
}

/** Reads a stored attempt; null for what is none. */
export function unpackAttempt(stored: unknown): Attempt | null {
  if (isPackedList(stored)) return remembered(unpackList(stored), stored);
  const success = stored instanceof Uint8Array ? unpackSuccess(stored) : null;
  return success && remembered(success, stored as Uint8Array);
}

function remembered(attempt: Attempt, stored: PackedAttempt | Uint8Array): Attempt {
  asRead.set(attempt, stored);
  return attempt;
}

function packList(attempt: Attempt): PackedAttempt {
  const { at, status, ms, error, error_class, address, body, next_attempt_at, headers, timings } = attempt;
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
    tenthsOf(timings),
  ];
}

function isPackedList(value: unknown): value is PackedAttempt {
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

function unpackList(packed: PackedAttempt): Attempt {
  const [at, status, ms, error, error_class, address, body, next_attempt_at, flat, tenths] = packed;
  return {
    at,
    status,
    ms,
    error,
    error_class,
    address,
    body,
    next_attempt_at,
    headers: headersOf(flat),
    timings: timingsOf(tenths),
  };
}

/** Headers from names and values in turns. */
function headersOf(flat: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let index = 0; index < flat.length; index += 2) headers[flat[index] ?? ''] = flat[index + 1] ?? '';
  return headers;
}

/** The timings in the order of `PHASES`, in tenths of ms. */
function tenthsOf(timings: Timings): (number | null)[] {
  return PHASES.map((phase) => (timings[phase] === null ? null : Math.round(timings[phase] * 10)));
}

/** @param tenths as from `tenthsOf`; those that are left out are null. */
function timingsOf(tenths: readonly (number | null)[]): Timings {
  const times = tenths.map((one) => (one === null ? null : one / 10));
  const [queue = null, dns = null, connect = null, tls = null, first_byte = null, body = null] = times;
  return { queue, dns, connect, tls, first_byte, body };
}

const HAS_ADDRESS = 1 << PHASES.length;
/** Most bytes before the answer. */
const HEAD_BYTES = 80;

/** The bytes of an attempt; null for one that has none: one that failed, or with more to keep. */
function packSuccess(attempt: Attempt): Uint8Array | null {
  const { at, status, ms, error, error_class, address, body, next_attempt_at, headers, timings } = attempt;
  const isSuccess =
    status !== null && status >= 200 && status < 300 && error === null && error_class === null;
  if (!isSuccess || next_attempt_at !== null || (address !== null && !isIPv4(address))) return null;
  const tenths = tenthsOf(timings);
  const numbers = [ms, ...tenths.filter((one) => one !== null)];
  if (![at, ...numbers].every((one) => Number.isSafeInteger(one) && one >= 0)) return null;
  const known = tenths.reduce<number>((mask, one, bit) => mask | (one === null ? 0 : 1 << bit), 0);
  const bytes = new ByteWriter(HEAD_BYTES);
  bytes.varint(at);
  bytes.byte(status - 200);
  bytes.byte(known | (address === null ? 0 : HAS_ADDRESS));
  for (const byte of address?.split('.') ?? []) bytes.byte(Number(byte));
  for (const number of numbers) bytes.varint(number);
  const answer = [body, ...Object.entries(headers).flat()];
  const isEmpty = answer.length === 1 && body === '';
  return Buffer.concat([bytes.written(), ...(isEmpty ? [] : [pack(answer)])]);
}

function unpackSuccess(stored: Uint8Array): Attempt | null {
  const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.length);
  const reader = new ByteReader(bytes, 0);
  try {
    const at = reader.varint();
    const status = 200 + reader.byte();
    const known = reader.byte();
    const address = known & HAS_ADDRESS ? [0, 1, 2, 3].map(() => reader.byte()).join('.') : null;
    const ms = reader.varint();
    const timings = timingsOf(PHASES.map((_, bit) => (known & (1 << bit) ? reader.varint() : null)));
    const rest = bytes.subarray(reader.at);
    const [body = '', ...flat] = rest.length === 0 ? [] : (unpack(rest) as string[]);
    const without = { error: null, error_class: null, next_attempt_at: null };
    return { at, status, ms, address, body, headers: headersOf(flat), timings, ...without };
  } catch {
    return null;
  }
}
