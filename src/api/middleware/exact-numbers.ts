// Rejects numbers that a double cannot represent exactly, such as an id of 19 digits: JavaScript would store and return a
// different number (RFC 8259, section 6). Also rejects bodies whose numbers become much longer when they are written
// without an exponent, such as 1e20.

import { compareNumber } from 'lossless-json';
import { childPointer } from '../../output-schema/problem.ts';
import { scanJson } from '../../state/text/json-scan.ts';
import type { FieldError } from '../http/problem.ts';

/** A number of 16 or more digits, or with an exponent. Any other is exact, because IEEE 754 doubles hold 15 digits. */
const SUSPECT = /(?:^|[\s:,[])-?(?:\d[\d.]{15}|[\d.]+[eE])/;
/** Numbers that are always exact: at most 15 digits, far from the limits of the range. */
const PLAIN = /^-?[\d.]{1,15}$/;
const SHORT = /^-?[\d.]{1,15}[eE][-+]?\d{1,2}$/;
const MESSAGE = 'is a number that cannot be stored exactly; send it as a string';
const GROWN = 'contains numbers that become too long when they are written without an exponent';
/** Characters by which a small body may grow; a larger one may double. */
const GROWTH = 4096;

/**
 * The errors of numbers in JSON that would change when they are parsed, or would make the response much larger than the body.
 * @param json valid JSON. @param most largest number of errors.
 */
export function numberFaults(json: string, most: number): FieldError[] {
  const found: FieldError[] = [];
  if (!SUSPECT.test(json)) return found;
  const mostGrowth = Math.max(GROWTH, json.length);
  let growth = 0;
  scanJson(json, {
    number(text, path) {
      if (PLAIN.test(text)) return false;
      const value = Number(text);
      const written = String(value);
      growth += Math.max(0, written.length - text.length);
      if (!SHORT.test(text) && !isExact(text, value, written))
        found.push({ pointer: path().reduce<string>(childPointer, ''), message: MESSAGE });
      return found.length >= most || growth > mostGrowth;
    },
  });
  if (found.length === 0 && growth > mostGrowth) found.push({ pointer: '', message: GROWN });
  return found;
}

/** Whether JavaScript serializes the number with the same value. */
function isExact(text: string, value: number, written: string): boolean {
  return Number.isFinite(value) && compareNumber(text, written) === 0;
}
