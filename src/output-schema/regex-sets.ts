/*
 * Sets of Unicode code points, as sorted and disjoint [low, high] ranges, that one position of a regular expression can
 * match. The translation to RE2 and the search for ambiguity both use them, so they agree on the meaning of `\s`, `.` and
 * `\p{L}`, which is that of ECMAScript with the u flag.
 */

/** Inclusive ranges, sorted, neither overlapping nor touching. */
export type CodePoints = readonly (readonly [low: number, high: number])[];

const LAST = 0x10ffff;

export const ALL: CodePoints = [[0, LAST]];
export const DIGIT: CodePoints = [[0x30, 0x39]];
export const WORD: CodePoints = union([
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
]);
const LINE_ENDS: CodePoints = union([
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
]);
export const DOT: CodePoints = complement(LINE_ENDS);
export const SPACE: CodePoints = union([
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
]);

/** The set of exactly one code point. */
export function only(codePoint: number): CodePoints {
  return [[codePoint, codePoint]];
}

/** The union of ranges, which may overlap and have any order. */
export function union(ranges: Iterable<readonly [number, number]>): CodePoints {
  const joined: [number, number][] = [];
  for (const [low, high] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last !== undefined && low <= last[1] + 1) last[1] = Math.max(last[1], high);
    else joined.push([low, high]);
  }
  return joined;
}

/** All code points that are not in `set`. */
export function complement(set: CodePoints): CodePoints {
  const gaps: [number, number][] = [];
  let next = 0;
  for (const [low, high] of set) {
    if (low > next) gaps.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= LAST) gaps.push([next, LAST]);
  return gaps;
}

/** Whether two sets share a code point. */
export function intersects(a: CodePoints, b: CodePoints): boolean {
  let i = 0;
  let j = 0;
  for (;;) {
    const left = a[i];
    const right = b[j];
    if (left === undefined || right === undefined) return false;
    if (left[1] < right[0]) i += 1;
    else if (right[1] < left[0]) j += 1;
    else return true;
  }
}

const properties = new Map<string, CodePoints>();

/**
 * The code points with the Unicode property `\p{name}`, by the tables of this Node. The first use of a property takes
 * about 20 ms; the result is cached, and there are only a few hundred properties.
 * @throws SyntaxError when ECMAScript has no such property.
 */
export function unicodeProperty(name: string): CodePoints {
  const known = properties.get(name);
  if (known !== undefined) return known;
  const hasProperty = new RegExp(`^\\p{${name}}$`, 'u');
  const ranges: [number, number][] = [];
  for (let low = 0; low <= LAST; ) {
    const high = isUniform(low) ? low + 0xfffd : low;
    const isSurrogate = low >= 0xd800 && low <= 0xdfff;
    if (!isSurrogate && hasProperty.test(String.fromCodePoint(low))) {
      const last = ranges.at(-1);
      if (last?.[1] === low - 1) last[1] = high;
      else ranges.push([low, high]);
    }
    low = high + 1;
  }
  properties.set(name, ranges);
  return ranges;
}

/** Whether a plane begins here whose characters, except the last two, all have the same properties. */
function isUniform(codePoint: number): boolean {
  const plane = codePoint >> 16;
  return (codePoint & 0xffff) === 0 && plane >= 4 && plane !== 14;
}
