// Numbers, times, ids and hashes as bytes, where much of them is stored.

import { uuidOf } from './ids.ts';

/** Writes values one after the other. */
export class ByteWriter {
  at = 0;
  #before = 0;
  readonly #bytes: Buffer;

  /** @param size most bytes that are written */
  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  byte(byte: number): void {
    this.at = this.#bytes.writeUInt8(byte, this.at);
  }

  /** Least significant 7 bits first; a byte below 128 is the last. @param number from 0 to 2^53 */
  varint(number: number): void {
    let rest = number;
    for (; rest >= 128; rest = Math.floor(rest / 128)) this.byte((rest % 128) + 128);
    this.byte(rest);
  }

  /** The difference to the time before it, ms; its sign is in the lowest bit. */
  time(time: number): void {
    const change = time - this.#before;
    this.varint(change < 0 ? -2 * change - 1 : 2 * change);
    this.#before = time;
  }

  bytes(bytes: Buffer): void {
    this.at += bytes.copy(this.#bytes, this.at);
  }

  hex(digits: string): void {
    this.at += this.#bytes.write(digits, this.at, 'hex');
  }

  /** The time that it begins with (6 bytes), then its other bytes. */
  uuid(uuid: string): void {
    this.time(Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16));
    this.hex(uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24));
  }

  written(): Buffer {
    return this.#bytes.subarray(0, this.at);
  }
}

/** Reads the values in their order. Every method throws a RangeError at the end of the bytes. */
export class ByteReader {
  at: number;
  #before = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  byte(): number {
    const byte = this.#bytes.readUInt8(this.at);
    this.at += 1;
    return byte;
  }

  varint(): number {
    let [number, unit] = [0, 1];
    for (; ; unit *= 128) {
      const byte = this.byte();
      number += (byte % 128) * unit;
      if (byte < 128) return number;
    }
  }

  time(): number {
    const change = this.varint();
    this.#before += change % 2 === 0 ? change / 2 : -(change + 1) / 2;
    return this.#before;
  }

  bytes(length: number): Buffer {
    this.at += length;
    if (this.at > this.#bytes.length) throw new RangeError('the bytes end too soon');
    return this.#bytes.subarray(this.at - length, this.at);
  }

  hex(length: number): string {
    this.at += length;
    return this.#bytes.toString('hex', this.at - length, this.at);
  }

  uuid(): string {
    const time = this.time().toString(16).padStart(12, '0');
    return uuidOf(time + this.hex(10));
  }
}
