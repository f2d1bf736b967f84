/*
 * Parses an ECMAScript regular expression to a small tree. Patterns of JSON Schema are ECMAScript but run on RE2, so the
 * tree is translated with ECMAScript's meaning of `\s`, `.`, `\p{Letter}` and escapes. The search for ambiguity uses it
 * too. `new RegExp` has checked the syntax before; this parser relies on that.
 */
import {
  ALL,
  type CodePoints,
  complement,
  DIGIT,
  DOT,
  only,
  SPACE,
  unicodeProperty,
  union,
  WORD,
} from './regex-sets.ts';

/**
 * A part of a pattern. Groups and laziness are omitted, because captures are not used and laziness does not change the
 * result.
 */
export type Regex =
  | { kind: 'set'; set: CodePoints }
  | { kind: 'sequence'; parts: readonly Regex[] }
  | { kind: 'choice'; branches: readonly Regex[] }
  | { kind: 'repeat'; body: Regex; min: number; max: number }
  | { kind: 'start' | 'end' | 'boundary' | 'no boundary' };

/** The pattern is not a regular expression, or cannot run in linear time. */
export class PatternError extends Error {}

/**
 * Parses a pattern with the u flag, as JSON Schema requires. A pattern that is valid only without it (`\-` outside a
 * class, `[\w-.]`, a single `{`) is read with these characters as literals. `max` of an unbounded repeat is Infinity.
 * @throws PatternError
 */
export function parseRegex(source: string): Regex {
  return new Reader(source, isUnicodePattern(source)).pattern();
}

function isUnicodePattern(source: string): boolean {
  try {
    new RegExp(source, 'u');
    return true;
  } catch {
    try {
      new RegExp(source);
      return false;
    } catch {
      throw new PatternError('is not a regular expression');
    }
  }
}

const QUANTIFIER = /\{(\d+)(?:(,)(\d*))?\}/y;
const HEX = /x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})/y;
const BRACED_HEX = /u\{([0-9a-fA-F]+)\}/y;
const PROPERTY = /[pP]\{([A-Za-z0-9_=]+)\}/y;
const LOOK_AROUND = /\(\?<?[=!]/y;
const GROUP_HEAD = /\((?:\?:|\?<[^=!>][^>]*>)?/y;
const CONTROLS: Record<string, number> = { t: 0x09, n: 0x0a, v: 0x0b, f: 0x0c, r: 0x0d };
const HYPHEN = 0x2d;

class Reader {
  readonly #source: string;
  readonly #unicode: boolean;
  #at = 0;

  constructor(source: string, unicode: boolean) {
    this.#source = source;
    this.#unicode = unicode;
  }

  pattern(): Regex {
    const regex = this.#choice();
    if (this.#at < this.#source.length) throw new PatternError('is not a regular expression');
    return regex;
  }

  #choice(): Regex {
    const branches = [this.#sequence()];
    while (this.#take('|')) branches.push(this.#sequence());
    const [first] = branches;
    return branches.length === 1 && first !== undefined ? first : { kind: 'choice', branches };
  }

  #sequence(): Regex {
    const parts: Regex[] = [];
    while (this.#at < this.#source.length && !this.#sees('|') && !this.#sees(')')) {
      parts.push(this.#quantified(this.#term()));
    }
    return { kind: 'sequence', parts };
  }

  #term(): Regex {
    if (this.#take('^')) return { kind: 'start' };
    if (this.#take('$')) return { kind: 'end' };
    if (this.#take('\\b')) return { kind: 'boundary' };
    if (this.#take('\\B')) return { kind: 'no boundary' };
    if (this.#take('.')) return { kind: 'set', set: DOT };
    if (this.#take('[')) return { kind: 'set', set: this.#class() };
    if (this.#take('\\')) return { kind: 'set', set: this.#escape(false) };
    if (this.#sees('(')) return this.#group();
    return { kind: 'set', set: only(this.#codePoint()) };
  }

  #group(): Regex {
    if (this.#match(LOOK_AROUND))
      throw new PatternError('uses look-around, which cannot be run in linear time');
    const head = this.#match(GROUP_HEAD);
    if (head?.[0] === '(' && this.#sees('?')) throw new PatternError('sets flags, which is not supported');
    const inside = this.#choice();
    if (!this.#take(')')) throw new PatternError('is not a regular expression');
    return inside;
  }

  #quantified(body: Regex): Regex {
    const bounds = this.#quantifier();
    if (bounds === null) return body;
    this.#take('?');
    if (bounds.min > bounds.max) throw new PatternError('is not a regular expression');
    return { kind: 'repeat', body, ...bounds };
  }

  #quantifier(): { min: number; max: number } | null {
    if (this.#take('*')) return { min: 0, max: Number.POSITIVE_INFINITY };
    if (this.#take('+')) return { min: 1, max: Number.POSITIVE_INFINITY };
    if (this.#take('?')) return { min: 0, max: 1 };
    const counts = this.#match(QUANTIFIER);
    if (counts === null) return null;
    const min = Number(counts[1]);
    if (counts[2] === undefined) return { min, max: min };
    return { min, max: counts[3] === '' ? Number.POSITIVE_INFINITY : Number(counts[3]) };
  }

  #class(): CodePoints {
    const negated = this.#take('^');
    const ranges: (readonly [number, number])[] = [];
    while (!this.#take(']')) {
      const low = this.#classAtom();
      const isRange = this.#sees('-') && this.#source[this.#at + 1] !== ']';
      if (!isRange) {
        ranges.push(...low);
        continue;
      }
      this.#take('-');
      const high = this.#classAtom();
      const first = single(low);
      const last = single(high);
      if (first !== null && last !== null) ranges.push([first, last]);
      else ranges.push(...low, [HYPHEN, HYPHEN], ...high);
    }
    const set = union(ranges);
    return negated ? complement(set) : set;
  }

  #classAtom(): CodePoints {
    return this.#take('\\') ? this.#escape(true) : only(this.#codePoint());
  }

  /** Parses an escape after its backslash. */
  #escape(inClass: boolean): CodePoints {
    const property = this.#unicode ? this.#match(PROPERTY) : null;
    if (property !== null) {
      const set = unicodeProperty(property[1] ?? '');
      return property[0].startsWith('P') ? complement(set) : set;
    }
    const code = this.#hexEscape();
    if (code !== null) return only(code);
    const character = String.fromCodePoint(this.#codePoint());
    const set = CLASS_ESCAPES[character];
    if (set !== undefined) return set;
    const control = CONTROLS[character];
    if (control !== undefined) return only(control);
    if (character === 'b' && inClass) return only(0x08);
    if (character === 'c') return only(this.#control());
    if (character === '0' && !/\d/.test(this.#source[this.#at] ?? '')) return only(0);
    if (/\d/.test(character) || (character === 'k' && (this.#unicode || this.#source.includes('(?<')))) {
      throw new PatternError('uses a back reference, which cannot be run in linear time');
    }
    if (/[A-Za-z]/.test(character)) {
      throw new PatternError(`has the escape \\${character}, which is not valid in ECMAScript in this form`);
    }
    return only(character.codePointAt(0) ?? 0);
  }

  #hexEscape(): number | null {
    const braced = this.#unicode ? this.#match(BRACED_HEX) : null;
    if (braced !== null) return Number.parseInt(braced[1] ?? '', 16);
    const plain = this.#match(HEX);
    if (plain === null) return null;
    const code = Number.parseInt(plain[1] ?? plain[2] ?? '', 16);
    if (code < 0xd800 || code > 0xdbff || !this.#sees('\\u')) return code;
    const back = this.#at;
    this.#at += 1;
    const low = this.#match(HEX);
    const lowCode = Number.parseInt(low?.[2] ?? '', 16);
    if (lowCode >= 0xdc00 && lowCode <= 0xdfff) return (code - 0xd800) * 0x400 + (lowCode - 0xdc00) + 0x10000;
    this.#at = back;
    return code;
  }

  #control(): number {
    const letter = this.#source[this.#at] ?? '';
    if (!/[A-Za-z]/.test(letter)) throw new PatternError('has \\c without a letter after it');
    this.#at += 1;
    return letter.charCodeAt(0) % 32;
  }

  #codePoint(): number {
    const code = this.#source.codePointAt(this.#at);
    if (code === undefined) throw new PatternError('is not a regular expression');
    this.#at += code > 0xffff ? 2 : 1;
    return code;
  }

  #sees(text: string): boolean {
    return this.#source.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    if (!this.#sees(text)) return false;
    this.#at += text.length;
    return true;
  }

  #match(sticky: RegExp): RegExpExecArray | null {
    sticky.lastIndex = this.#at;
    const found = sticky.exec(this.#source);
    if (found !== null) this.#at = sticky.lastIndex;
    return found;
  }
}

const CLASS_ESCAPES: Record<string, CodePoints> = {
  d: DIGIT,
  D: complement(DIGIT),
  s: SPACE,
  S: complement(SPACE),
  w: WORD,
  W: complement(WORD),
};

/** The code point of a set with a single one; otherwise null. */
function single(set: CodePoints): number | null {
  const [range, more] = set;
  return range !== undefined && more === undefined && range[0] === range[1] ? range[0] : null;
}

/**
 * Translates a pattern to the syntax of RE2, with exactly ECMAScript's meaning.
 * @throws PatternError when a count exceeds RE2's limit of 1000.
 */
export function toRe2(regex: Regex): string {
  switch (regex.kind) {
    case 'start':
      return '\\A';
    case 'end':
      return '\\z';
    case 'boundary':
      return '\\b';
    case 'no boundary':
      return '\\B';
    case 'set':
      return re2Class(regex.set);
    case 'sequence':
      return regex.parts.map(toRe2).join('');
    case 'choice':
      return `(?:${regex.branches.map(toRe2).join('|')})`;
    case 'repeat':
      return `(?:${toRe2(regex.body)})${re2Count(regex.min, regex.max)}`;
  }
}

function re2Count(min: number, max: number): string {
  if (min > 1000 || (max > 1000 && max !== Number.POSITIVE_INFINITY)) {
    throw new PatternError(
      'repeats something more than 1000 times; "maxLength" and "minLength" have no such limit',
    );
  }
  if (max === Number.POSITIVE_INFINITY) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`;
  return `{${min},${max}}`;
}

function re2Class(set: CodePoints): string {
  if (set.length === 0) return `[^${re2Ranges(ALL)}]`;
  return `[${re2Ranges(set)}]`;
}

function re2Ranges(set: CodePoints): string {
  return set.map(([low, high]) => `${re2Character(low)}-${re2Character(high)}`).join('');
}

function re2Character(codePoint: number): string {
  return `\\x{${codePoint.toString(16)}}`;
}
