// The record of a delivery (its status and attempts) and its stored form.

import { pack, unpack } from 'msgpackr';
import { broken, type Read } from '../../state/text/forms.ts';
import { type Attempt, packAttempt, unpackAttempt } from './delivery-attempt.ts';

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

/**
 * The stored form: MessagePack of bare arrays; for attempts see
 * `delivery-attempt.ts`.
 */
export function packDelivery({ status, attempts, more = [] }: Delivery): Buffer {
  const packed = attempts.map(packAttempt);
  return pack([DELIVERY_STATUSES.indexOf(status), ...packed, ...more]);
}

/**
 * Reads the stored form. A format version that older processes cannot read starts with its negated number instead of the
 * status: -2 for the second one. Elements after the status that are neither lists nor successes come from a newer version and are
 * kept.
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
  const attempts: Attempt[] = [];
  const more: unknown[] = [];
  for (const one of rest) {
    const attempt = unpackAttempt(one);
    if (attempt !== null) attempts.push(attempt);
    else if (Array.isArray(one)) return broken('an attempt is none');
    else more.push(one);
  }
  return { kind: 'known', value: { status, attempts, ...(more.length > 0 && { more }) } };
}
