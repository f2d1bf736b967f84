// Numbers that a double cannot hold as they were written, such as an id of 19 digits: JavaScript would keep and
// return another number (RFC 8259, section 6). They are refused, so that what is kept is what was sent.

import { compareNumber, LosslessNumber, parse } from 'lossless-json';
import { childPointer } from '../../output-schema/problem.ts';
import type { FieldError } from '../http/problem.ts';

/** A number of 16 or more digits, or with an exponent: any other is exact (IEEE 754 doubles hold 15 digits). */
const SUSPECT = /(?:^|[\s:,[])-?(?:\d[\d.]{15}|[\d.]+[eE])/;
const MESSAGE = 'is a number that cannot be kept exactly; send it as a string';

/**
 * Where JSON holds numbers that would be changed by being read.
 * @param json valid JSON. @param most faults that are told of.
 */
export function inexactNumbers(json: string, most: number): FieldError[] {
  return SUSPECT.test(json) ? find(parse(json), '', most, []) : [];
}

function find(value: unknown, pointer: string, most: number, found: FieldError[]): FieldError[] {
  if (found.length >= most) return found;
  if (value instanceof LosslessNumber) {
    if (!isExact(value.value)) found.push({ pointer, message: MESSAGE });
  } else if (typeof value === 'object' && value !== null)
    for (const [name, inner] of Object.entries(value)) find(inner, childPointer(pointer, name), most, found);
  return found;
}

/** Whether JavaScript writes the number again as one of the same value. */
function isExact(text: string): boolean {
  const read = Number(text);
  return Number.isFinite(read) && compareNumber(text, String(read)) === 0;
}
