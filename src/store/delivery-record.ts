// What is kept of a delivery, its status and every attempt, and the bytes that it is kept as.

import { pack, unpack } from 'msgpackr';

/** Milliseconds that the parts of an attempt took; null for what it never came to or did not need. */
export interface Timings {
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
  /** First 4 KiB of the answer. */
  body: string;
  next_attempt_at: number | null;
  headers: Record<string, string>;
  timings: Timings;
}

export const DELIVERY_STATUSES = ['pending', 'succeeded', 'exhausted', 'stopped'] as const;
/**
 * `pending` while owed. `exhausted` when it was given up. `stopped` when there is nobody to send it to: after a
 * 410 to another event, or with its endpoint disabled or removed.
 */
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export interface Delivery {
  status: DeliveryStatus;
  attempts: Attempt[];
}

type Packed = [status: number, ...attempts: PackedAttempt[]];
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
 * A delivery as it is stored: MessagePack of bare arrays. There is one for every event, and one that succeeded at
 * once stays within the 64 bytes up to which Redis keeps a hash in one compact piece.
 */
export function packDelivery({ status, attempts }: Delivery): Buffer {
  const tenths = (ms: number | null) => (ms === null ? null : Math.round(ms * 10));
  const packed: Packed = [
    DELIVERY_STATUSES.indexOf(status),
    ...attempts.map((one): PackedAttempt => {
      const { at, ms, error, error_class, address, body, next_attempt_at, headers, timings } = one;
      const { queue, dns, connect, tls, first_byte, body: whole } = timings;
      return [
        at,
        one.status,
        ms,
        error,
        error_class,
        address,
        body,
        next_attempt_at,
        Object.entries(headers).flat(),
        [queue, dns, connect, tls, first_byte, whole].map(tenths),
      ];
    }),
  ];
  return pack(packed);
}

/** @param stored as it is stored; empty or absent while there was no attempt. */
export function unpackDelivery(stored: Buffer | null | undefined): Delivery {
  if (!stored?.length) return { status: 'pending', attempts: [] };
  const [status, ...attempts] = unpack(stored) as Packed;
  return { status: DELIVERY_STATUSES[status] ?? 'pending', attempts: attempts.map(unpackAttempt) };
}

function unpackAttempt(packed: PackedAttempt): Attempt {
  const [at, status, ms, error, error_class, address, body, next_attempt_at, flat, tenths] = packed;
  const times = tenths.map((one) => (one === null ? null : one / 10));
  const [queue = null, dns = null, connect = null, tls = null, first_byte = null, whole = null] = times;
  const headers: Record<string, string> = {};
  for (let index = 0; index < flat.length; index += 2) headers[flat[index] ?? ''] = flat[index + 1] ?? '';
  const timings = { queue, dns, connect, tls, first_byte, body: whole };
  return { at, status, ms, error, error_class, address, body, next_attempt_at, headers, timings };
}
