// Compressed JSON of final tasks: first times, ids and hashes become bytes, then the rest is compressed with a preset dictionary
// (RFC 1950, section 2.2) of the common field names and history entries.
//
// The bytes: `MARK`, the length of the values as a varint, the values, the text without them as raw deflate (RFC 1951). In the
// text, a control character stands for each value, which no JSON text contains:
//
// - 0x01 and a character: a UUID or hash that occurred before, by its number from '0' on
// - 0x02: a UUID: the time that it begins with (6 bytes), then its other 10 bytes
// - 0x03: 64 hexadecimal digits: 32 bytes
// - 0x04: a time in ISO 8601 · 0x05: a time as a number of ms, in 13 digits
//
// A time is the difference to the time before it, ms, as a varint with the sign in its lowest bit.

import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { DICTIONARY, FIRST_DICTIONARY } from './packing-dictionaries.ts';

/** First byte of packed JSON. Deflate never begins with it: block type 3 is reserved. Without it, JSON was only deflated. */
const MARK = 7;
/** Values that can be referred to again. */
const MOST_REFERENCES = 64;
const FIRST_REFERENCE = '0'.charCodeAt(0);

const VALUES =
  /\b(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|1\d{12})/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they stand for values
const TOKENS = /\x01(.)|[\x02-\x05]/gs;

/** Compresses a value. @param value any JSON value. */
export function packJson(value: unknown): Buffer {
  const json = JSON.stringify(value);
  // Every value takes fewer bytes than its text.
  const values = new Writer(json.length);
  const known = new Map<string, number>();
  const text = json.replace(VALUES, (found) => {
    switch (found.length) {
      case 13:
        values.time(Number(found));
        return '\x05';
      case 24: {
        const time = Date.parse(found);
        if (Number.isNaN(time) || new Date(time).toISOString() !== found) return found;
        values.time(time);
        return '\x04';
      }
    }
    const number = known.get(found);
    if (number !== undefined) return `\x01${String.fromCharCode(FIRST_REFERENCE + number)}`;
    if (known.size < MOST_REFERENCES) known.set(found, known.size);
    if (found.length === 64) {
      values.hex(found);
      return '\x03';
    }
    values.uuid(found);
    return '\x02';
  });
  const head = new Writer(10);
  head.varint(MARK);
  head.varint(values.at);
  return Buffer.concat([
    head.written(),
    values.written(),
    deflateRawSync(text, { dictionary: DICTIONARY, level: 9 }),
  ]);
}

/** The value that `packJson` compressed. @throws Error when the bytes are damaged */
export function unpackJson(packed: Buffer): unknown {
  if (packed[0] !== MARK)
    return JSON.parse(inflateRawSync(packed, { dictionary: FIRST_DICTIONARY }).toString());
  const values = new Reader(packed, 1);
  const length = values.varint();
  const deflated = packed.subarray(values.at + length);
  const text = inflateRawSync(deflated, { dictionary: DICTIONARY }).toString();
  const known: string[] = [];
  const remembered = (one: string) => {
    known.push(one);
    return one;
  };
  const restored = text.replace(TOKENS, (token, reference: string | undefined) => {
    if (reference !== undefined) return known[reference.charCodeAt(0) - FIRST_REFERENCE] ?? '';
    if (token === '\x02') return remembered(values.uuid());
    if (token === '\x03') return remembered(values.hex(32));
    const time = values.time();
    return token === '\x04' ? new Date(time).toISOString() : String(time);
  });
  return JSON.parse(restored);
}

/** Writes values one after the other. */
class Writer {
  at = 0;
  #before = 0;
  readonly #bytes: Buffer;

  /** @param size most bytes that are written */
  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  /** Least significant 7 bits first; a byte below 128 is the last. @param number from 0 to 2^53 */
  varint(number: number): void {
    let rest = number;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.#byte((rest % 128) + 128);
    this.#byte(rest);
  }

  time(time: number): void {
    const change = time - this.#before;
    this.varint(change < 0 ? -2 * change - 1 : 2 * change);
    this.#before = time;
  }

  hex(digits: string): void {
    this.at += this.#bytes.write(digits, this.at, 'hex');
  }

  uuid(uuid: string): void {
    this.time(Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16));
    this.hex(uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24));
  }

  written(): Buffer {
    return this.#bytes.subarray(0, this.at);
  }

  #byte(byte: number): void {
    this.at = this.#bytes.writeUInt8(byte, this.at);
  }
}

/** Reads the values in their order. */
class Reader {
  at: number;
  #before = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** @throws RangeError at the end of the bytes */
  varint(): number {
    let [number, unit] = [0, 1];
    for (; ; unit *= 128) {
      const byte = this.#bytes.readUInt8(this.at);
      this.at += 1;
      number += (byte % 128) * unit;
      if (byte < 128) return number;
    }
  }

  time(): number {
    const change = this.varint();
    this.#before += change % 2 === 0 ? change / 2 : -(change + 1) / 2;
    return this.#before;
  }

  hex(length: number): string {
    this.at += length;
    return this.#bytes.toString('hex', this.at - length, this.at);
  }

  uuid(): string {
    const time = this.time().toString(16).padStart(12, '0');
    const rest = this.hex(10);
    return `${time.slice(0, 8)}-${time.slice(8)}-${rest.slice(0, 4)}-${rest.slice(4, 8)}-${rest.slice(8)}`;
  }
}
