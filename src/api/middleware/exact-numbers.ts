// Numbers that a double cannot hold as they were written, such as an id of 19 digits: JavaScript would keep and
// return another number (RFC 8259, section 6). They are refused, so that what is kept is what was sent. So is a body
// whose numbers grow too much when they are written out, as 1e20 does.

import { compareNumber } from 'lossless-json';
import { childPointer } from '../../output-schema/problem.ts';
import { scanJson } from '../../state/text/json-scan.ts';
import type { FieldError } from '../http/problem.ts';

/** A number of 16 or more digits, or with an exponent: any other is exact (IEEE 754 doubles hold 15 digits). */
const SUSPECT = /(?:^|[\s:,[])-?(?:\d[\d.]{15}|[\d.]+[eE])/;
/** Numbers that a double holds: at most 15 digits, far from the ends of its range. */
const PLAIN = /^-?[\d.]{1,15}$/;
const SHORT = /^-?[\d.]{1,15}[eE][-+]?\d{1,2}$/;
const MESSAGE = 'is a number that cannot be kept exactly; send it as a string';
const GROWN = 'holds numbers that grow too much when they are written without an exponent';
/** Characters by which a small body may grow; a larger one may double. */
const GROWTH = 4096;

/**
 * Where JSON holds numbers that would be changed by being read, or that would make the answer far larger than the body.
 * @param json valid JSON. @param most faults that are reported.
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

/** Whether JavaScript writes the number again as one of the same value. */
function isExact(text: string, value: number, written: string): boolean {
  return Number.isFinite(value) && compareNumber(text, written) === 0;
}
