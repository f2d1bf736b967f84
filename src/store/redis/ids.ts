// Server-generated ids: UUIDv7 (RFC 9562), which sort by creation time. Within one process they are strictly increasing
// even within a millisecond, so a list ordered by id is ordered by creation. This holds while the clock goes back by
// less than a second. A larger correction is followed, because lists are also filtered by time with these ids.

import { hash, randomFillSync, randomInt } from 'node:crypto';
import { v7 } from 'uuid';

/** A clock that goes back by less than this does not move the ids back, ms. */
const STEP = 1000;

let last = 0;
let counter = 0;

// Random bytes are generated for many ids at a time, because a call is expensive.
const ID_BYTES = 16;
const pool = Buffer.alloc(256 * ID_BYTES);
let drawn = pool.length;

function randomBytes(): Buffer {
  if (drawn === pool.length) {
    randomFillSync(pool);
    drawn = 0;
  }
  drawn += ID_BYTES;
  return pool.subarray(drawn - ID_BYTES, drawn);
}

/** A new UUIDv7. @param now ms since the epoch, by the clock that the rest of the change uses. */
export function newId(now: number): string {
  if (now > last || now < last - STEP) {
    last = now;
    counter = randomInt(0x7fff_ffff);
  } else {
    counter += 1;
  }
  return v7({ msecs: last, seq: counter, random: randomBytes() });
}

/**
 * A new UUIDv8 (RFC 9562) that carries a number in its last 12 bits, and otherwise is like `newId`: it sorts by creation.
 * @param number 0 to 4095
 */
export function newNumberedId(now: number, number: number): string {
  return numberedId(newId(now), number);
}

/** A UUID as a UUIDv8 with a number in its last 12 bits. @param number 0 to 4095 */
export function numberedId(id: string, number: number): string {
  return `${id.slice(0, 14)}8${id.slice(15, -3)}${number.toString(16).padStart(3, '0')}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Whether a text is a UUID as this system writes it, which follows from its digits. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** The 32 hexadecimal digits of a UUID. */
export function digitsOf(uuid: string): string {
  return uuid.replaceAll('-', '');
}

/** The UUID of 32 hexadecimal digits. */
export function uuidOf(digits: string): string {
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`;
}

/**
 * The id at `index` of the series that is derived from `first`, a secret UUIDv7. Deterministic, of the same millisecond,
 * and sorted by index.
 */
function idFromSeed(first: string, index: number): string {
  const seed = hash('sha256', first, 'buffer');
  return v7({
    msecs: idTime(first),
    seq: (seed.readUInt32BE() >>> 1) + index,
    random: hash('sha256', `${first} ${index}`, 'buffer').subarray(0, ID_BYTES),
  });
}

/**
 * A new id and one beside it, of the same ms. Neither shows which of the two is the first, and ids of later calls follow both.
 */
export function newIdPair(now: number): [first: string, beside: string] {
  const pair: [string, string] = [newId(now), newId(now)];
  return randomInt(2) === 0 ? pair : [pair[1], pair[0]];
}

/** Like `newIdPair`, at `index` of the series that is derived from `first`, a secret UUIDv7. */
export function idPairFromSeed(first: string, index: number): [first: string, beside: string] {
  const swap = hash('sha256', `${first} ${index} pair`, 'buffer').readUInt8() & 1;
  return [idFromSeed(first, 2 * index + swap), idFromSeed(first, 2 * index + 1 - swap)];
}

/** The time in a UUIDv7 or a numbered id, ms. */
export function idTime(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}

/** The smallest UUIDv7 text of a millisecond: a bound for ranges over ids. */
export function idFloor(ms: number): string {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0').slice(-12);
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}
