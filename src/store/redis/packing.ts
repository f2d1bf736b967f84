// Compressed JSON of final tasks: first times, ids and hashes become bytes, then the rest is compressed with a preset dictionary
// (RFC 1950, section 2.2) of the common field names and history entries.
//
// The bytes: `MARK`, the length of the values as a varint, the values, the text without them as raw deflate (RFC 1951). In the
// text, a control character stands for each value, which no JSON text contains:
//
// - 0x01 and a character: a UUID or hash that is known or occurred before, by its number from '0' on
// - 0x02: a UUID: the time that it begins with (6 bytes), then its other 10 bytes
// - 0x03: 64 hexadecimal digits: 32 bytes
// - 0x04: a time in ISO 8601 · 0x05: a time as a number of ms, in 13 digits
// - 0x06, 0x07 and a character: likewise a time that occurred before; the character says how many others have occurred since, from
//   '0' on, which is the same in most tasks
// - 0x08: a sealed text: 6 bytes of the id of its key, the length of the rest as a varint, the rest. Its bytes are random, and in
//   base64url they would also make the codes of all other characters longer.
//
// A time is the difference to the time before it, ms.

import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { ByteReader, ByteWriter } from './bytes.ts';
import { DICTIONARY, FIRST_DICTIONARY, SECOND_DICTIONARY } from './packing-dictionaries.ts';

/** First byte of packed JSON. Deflate never begins with it: block type 3 is reserved. Without a mark, JSON was only deflated. */
const MARK = 15;
/** The mark of earlier versions: with another dictionary, without sealed texts, and nothing was known. */
const SECOND_MARK = 7;
/**
 * The highest level would save nothing of a usual task and a hundredth of one with long texts, and take four times as long for
 * these. Of the result, most takes less than a chunk.
 */
const COMPRESSION = { dictionary: DICTIONARY, level: 6, chunkSize: 2048 };
/** UUIDs and hashes, and times, that can be referred to again. */
const MOST_REFERENCES = 64;
const FIRST_REFERENCE = '0'.charCodeAt(0);

/** The first condition only saves time: all of the values but sealed texts begin with four hexadecimal digits. */
const VALUES =
  /\b(?:(?=[0-9a-f]{4})(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{64}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|1\d{12})|s1\.[\w-]{8}\.[\w-]+)/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they stand for values
const TOKENS = /[\x01\x06\x07](.)|[\x02-\x05\x08]/gs;
/** What a sealed text begins with, before the id of its key, and the bytes of that; see `sealing.ts`. */
const SEALED = 's1.';
const KEY_ID_BYTES = 6;

/**
 * Compresses a value.
 * @param value any JSON value.
 * @param expected UUIDs and hashes that it may contain and that are known when it is unpacked, at most `MOST_REFERENCES`.
 */
export function packJson(value: unknown, expected: readonly string[] = []): Buffer {
  const json = JSON.stringify(value);
  // Every value takes fewer bytes than its text.
  const values = new ByteWriter(json.length);
  const known = new Map(expected.map((one, at) => [one, at]));
  const times = new RecentTimes();
  const timeToken = (time: number, first: string, again: string) => {
    const position = times.positionOf(time);
    times.use(time);
    if (position !== -1) return again + String.fromCharCode(FIRST_REFERENCE + position);
    values.time(time);
    return first;
  };
  const text = json.replace(VALUES, (found) => {
    if (found.startsWith(SEALED)) return writeSealed(values, found) ? '\x08' : found;
    switch (found.length) {
      case 13:
        return timeToken(Number(found), '\x05', '\x07');
      case 24: {
        const time = Date.parse(found);
        if (Number.isNaN(time) || new Date(time).toISOString() !== found) return found;
        return timeToken(time, '\x04', '\x06');
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
  const head = new ByteWriter(10);
  head.varint(MARK);
  head.varint(values.at);
  return Buffer.concat([head.written(), values.written(), deflateRawSync(text, COMPRESSION)]);
}

/** The value that `packJson` compressed. @param expected as it was given. @throws Error when the bytes are damaged */
export function unpackJson(packed: Buffer, expected: readonly string[] = []): unknown {
  const isSecond = packed[0] === SECOND_MARK;
  if (packed[0] !== MARK && !isSecond)
    return JSON.parse(inflateRawSync(packed, { dictionary: FIRST_DICTIONARY }).toString());
  const values = new ByteReader(packed, 1);
  const length = values.varint();
  const deflated = packed.subarray(values.at + length);
  const text = inflateRawSync(deflated, { dictionary: isSecond ? SECOND_DICTIONARY : DICTIONARY }).toString();
  const known = isSecond ? [] : [...expected];
  const times = new RecentTimes();
  const timeOf = (position: number) => {
    const time = position === -1 ? values.time() : times.at(position);
    times.use(time);
    return time;
  };
  const knownOf = (one: string) => {
    known.push(one);
    return one;
  };
  const restored = text.replace(TOKENS, (token, reference: string | undefined) => {
    const number = reference === undefined ? -1 : reference.charCodeAt(0) - FIRST_REFERENCE;
    switch (token[0]) {
      case '\x01':
        return known[number] ?? '';
      case '\x02':
        return knownOf(values.uuid());
      case '\x03':
        return knownOf(values.hex(32));
      case '\x08':
        return readSealed(values);
      case '\x04':
      case '\x06':
        return new Date(timeOf(number)).toISOString();
      default:
        return String(timeOf(number));
    }
  });
  return JSON.parse(restored);
}

/** Writes the bytes of a sealed text. @returns false when they would not give back the same text */
function writeSealed(values: ByteWriter, text: string): boolean {
  const [, id = '', rest = ''] = text.split('.');
  const bytes = Buffer.from(rest, 'base64url');
  if (bytes.toString('base64url') !== rest) return false;
  values.bytes(Buffer.from(id, 'base64url'));
  values.varint(bytes.length);
  values.bytes(bytes);
  return true;
}

function readSealed(values: ByteReader): string {
  const id = values.bytes(KEY_ID_BYTES).toString('base64url');
  return `${SEALED}${id}.${values.bytes(values.varint()).toString('base64url')}`;
}

/** The times that occurred last, the latest first. */
class RecentTimes {
  readonly #times: number[] = [];

  /** How many other times have occurred since; -1 for a time that is not known. */
  positionOf(time: number): number {
    return this.#times.indexOf(time);
  }

  /** @throws RangeError when there are fewer */
  at(position: number): number {
    const time = this.#times[position];
    if (time === undefined) throw new RangeError(`no time ${position}`);
    return time;
  }

  use(time: number): void {
    const position = this.#times.indexOf(time);
    if (position !== -1) this.#times.splice(position, 1);
    this.#times.unshift(time);
    if (this.#times.length > MOST_REFERENCES) this.#times.pop();
  }
}
