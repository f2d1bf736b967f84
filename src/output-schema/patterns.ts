/*
 * Compiles untrusted regular expressions. A pattern on which a backtracking engine could take exponential or high
 * polynomial time is refused. Others run on RE2, which takes linear time for any pattern.
 */
import { RE2JS } from 're2js';
import { isSafePattern } from 'redos-detector';
import { ambiguityOf, type Danger } from './regex-ambiguity.ts';
import { positions } from './regex-automaton.ts';
import { PatternError, parseRegex, toRe2 } from './regex-syntax.ts';

/** Longest pattern, UTF-16 units, and most character sets after its counted repeats are expanded. */
const MAX_PATTERN_LENGTH = 2_000;
const MAX_PATTERN_POSITIONS = 5_000;

/** Limits of the second check: time, ms, and readings of one text (its default). */
const SECOND_CHECK_MS = 60;
const SECOND_CHECK_SCORE = 200;

/** A compiled pattern in the form that Ajv requires. It matches anywhere in the text, as in JSON Schema. */
export type Pattern = { test: (text: string) => boolean; toString: () => string };

const REASONS: Record<Exclude<Danger, 'none'>, string> = {
  exponential: 'it repeats something that can match the same text in several ways, as ^(a+)+$ does',
  polynomial:
    'it has more than three unbounded repeats in a row that can match the same text, as .*.*.*.* does',
  'empty repeat': 'it repeats something that can match nothing many times, as (a?){80} does',
  combinatorial: 'it can match the same text in too many ways, as (a|a)(a|a)(a|a)… does',
  'too complicated': 'it is too complicated to show that it cannot',
};

/**
 * Compiles a pattern.
 * @param source an ECMAScript pattern, read with the u flag (see `parseRegex`).
 * @throws PatternError when it is malformed, too large, cannot run in linear time, or can backtrack catastrophically in
 *   other engines. The message completes "the pattern …".
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
  if (danger !== 'none' && (isFinal || !passesSecondCheck(source))) {
    throw new PatternError(`can backtrack catastrophically: ${REASONS[danger]}`);
  }
  const re2 = compileRe2(re2Source);
  // Ajv merges patterns with equal toString(), which is [object Object] for every RE2JS.
  return { test: (text) => re2.test(text), toString: () => `re2 ${source}` };
}

/**
 * A second check by redos-detector, for patterns that our search could not decide exactly. It counts exactly but is slow,
 * and treats every super-linear pattern as infinite, so as a first check it would refuse most patterns for e-mail.
 */
function passesSecondCheck(source: string): boolean {
  try {
    const bounds = { timeout: SECOND_CHECK_MS, maxScore: SECOND_CHECK_SCORE, maxSteps: 1_000 };
    return isSafePattern(source, { ...bounds, unicode: true }).safe;
  } catch {
    return false; // It does not support all syntax; a pattern it cannot parse stays refused.
  }
}

function compileRe2(source: string): RE2JS {
  try {
    return RE2JS.compile(source);
  } catch {
    throw new PatternError('has nested repeats whose counts multiply to more than 1000');
  }
}
