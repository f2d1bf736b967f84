/*
 * A stranger's regular expression, made safe: refused if a backtracking engine could run away on it, and run
 * here by RE2, whose time is linear in the text whatever the pattern.
 */
import { RE2JS } from 're2js';
import { isSafePattern } from 'redos-detector';
import { ambiguityOf, type Danger } from './regex-ambiguity.ts';
import { positions } from './regex-automaton.ts';
import { PatternError, parseRegex, toRe2 } from './regex-syntax.ts';

/** Longest pattern, in UTF-16 units, and most character sets it may hold once its counts are written out. */
const MAX_PATTERN_LENGTH = 2_000;
const MAX_PATTERN_POSITIONS = 5_000;

/** The appeal's bounds: milliseconds, and readings of one text (its default). */
const APPEAL_MS = 60;
const APPEAL_SCORE = 200;

/** A compiled pattern, as Ajv wants its regular expressions. Searches anywhere in the text, as JSON Schema says. */
export type Pattern = { test: (text: string) => boolean; toString: () => string };

const REASONS: Record<Exclude<Danger, 'none'>, string> = {
  exponential: 'it repeats something that can match the same text in several ways, as ^(a+)+$ does',
  polynomial:
    'it has more than three unbounded repeats in a row that can match the same text, as .*.*.*.* does',
  'empty repeat': 'it repeats many times what can match nothing, as (a?){80} does',
  combinatorial: 'it can match the same text in too many ways, as (a|a)(a|a)(a|a)… does',
  'too complicated': 'it is too complicated to tell that it cannot',
};

/**
 * Compiles `source`, an ECMAScript pattern (read with the u flag, see `parseRegex`).
 * Throws PatternError, its message fit to stand behind "the pattern …", where the pattern is malformed, too
 * large, cannot run in linear time, or can backtrack catastrophically elsewhere.
 */
export function compilePattern(source: string): Pattern {
  if (source.length > MAX_PATTERN_LENGTH) {
    throw new PatternError(`is longer than ${MAX_PATTERN_LENGTH} characters`);
  }
  const regex = parseRegex(source);
  if (positions(regex) > MAX_PATTERN_POSITIONS) {
    throw new PatternError(`repeats things more than ${MAX_PATTERN_POSITIONS} times in all`);
  }
  const re2Source = toRe2(regex);
  const { danger, isExact } = ambiguityOf(regex);
  const isFinal = isExact && danger !== 'combinatorial';
  if (danger !== 'none' && (isFinal || !isAcquitted(source))) {
    throw new PatternError(`can backtrack catastrophically: ${REASONS[danger]}`);
  }
  const re2 = compileRe2(re2Source);
  // Ajv merges patterns whose toString() is equal, and RE2JS' own says [object Object]: spell it out.
  return { test: (text) => re2.test(text), toString: () => `re2 ${source}` };
}

/**
 * Where our own search had to guess, redos-detector decides: it counts exactly, but is slow, and calls every
 * super-linear pattern infinite, so it cannot be the first judge (it refuses most patterns for e-mail).
 */
function isAcquitted(source: string): boolean {
  try {
    const bounds = { timeout: APPEAL_MS, maxScore: APPEAL_SCORE, maxSteps: 20_000 };
    return isSafePattern(source, { ...bounds, unicode: true }).safe;
  } catch {
    return false; // It does not know every syntax; what it cannot read it cannot acquit.
  }
}

function compileRe2(source: string): RE2JS {
  try {
    return RE2JS.compile(source);
  } catch {
    throw new PatternError('has nested repeats whose counts multiply to more than 1000');
  }
}
