/*
 * The one shape in which this folder says what is wrong, and the JSON Pointers (RFC 6901) it speaks in.
 * Shorthand, schema and output all report through here, so that a caller can paste the list into the
 * `errors` of an RFC 9457 answer without knowing who found what.
 */

import { elided } from '../state/text/text.ts';

/** One thing wrong: where (a JSON Pointer from the root of the schema or output, '' = the root) and what. */
export type Problem = { pointer: string; message: string };

/** Problems reported at once. More than these help nobody, and a stranger chooses how many there are. */
export const MAX_PROBLEMS = 50;

/** Longest pointer reported, in UTF-16 units: property names are the stranger's and may be very long. */
const MAX_POINTER = 2048;

/** Longest message, in UTF-16 units: it may name what the stranger chose. */
const MAX_MESSAGE = 500;

/** Most UTF-16 units of all pointers and messages together: so many of one long name must not make a long answer. */
const MAX_TEXT = 16 * 1024;

/** The pointer to member `token` of the value at `pointer`. Escapes `~` and `/` as RFC 6901 says. */
export function childPointer(pointer: string, token: string | number): string {
  const text = String(token);
  const escaped = /[~/]/.test(text) ? text.replaceAll('~', '~0').replaceAll('/', '~1') : text;
  return `${pointer}/${escaped}`;
}

/**
 * The first `MAX_PROBLEMS` distinct problems, fewer where they are long. A pointer too long to report is replaced by the nearest
 * ancestor's, since half a pointer would point at something else; the message says so.
 */
export function report(problems: Iterable<Problem>): Problem[] {
  const seen = new Set<string>();
  const kept: Problem[] = [];
  let text = 0;
  for (const { pointer, message } of problems) {
    const told = shortPointer(pointer);
    const what = told === pointer ? message : `${message} (below this: the name is too long to be told)`;
    const problem = { pointer: told, message: elided(what, MAX_MESSAGE) };
    const key = JSON.stringify([problem.pointer, problem.message]);
    if (seen.has(key)) continue;
    text += key.length;
    if (text > MAX_TEXT && kept.length > 0) break;
    seen.add(key);
    kept.push(problem);
    if (kept.length === MAX_PROBLEMS) break;
  }
  return kept;
}

function shortPointer(pointer: string): string {
  if (pointer.length <= MAX_POINTER) return pointer;
  return pointer.slice(0, pointer.lastIndexOf('/', MAX_POINTER));
}

/** True for what JSON calls an object: not an array, not null. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Where `value` first goes deeper than `levels` nested arrays and objects, as a pointer; null if nowhere.
 * A scalar has depth 0, `{}` depth 1. Recursion is bounded by `levels`, whatever the value (cyclic too).
 */
export function findTooDeep(value: unknown, levels: number): string | null {
  if (typeof value !== 'object' || value === null) return null;
  if (levels === 0) return '';
  for (const key of Object.keys(value)) {
    const below = findTooDeep((value as Record<string, unknown>)[key], levels - 1);
    if (below !== null) return childPointer('', key) + below;
  }
  return null;
}
