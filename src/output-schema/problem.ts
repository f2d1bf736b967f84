/*
 * Problems of schemas and outputs, with JSON Pointers (RFC 6901). All checks of this folder report in this form.
 */

import { elided } from '../state/text/text.ts';

/** A problem: where (a JSON Pointer from the root of the schema or output; '' is the root) and what. */
export type Problem = { pointer: string; message: string };

/** Most problems that are reported, because an untrusted schema or output can have any number. */
export const MAX_PROBLEMS = 50;

/** Longest pointer, UTF-16 units; untrusted property names can have any length. */
const MAX_POINTER = 2048;

/** Longest message, UTF-16 units; it may contain untrusted values. */
const MAX_MESSAGE = 500;

/** Longest sum of all pointers and messages, UTF-16 units. */
const MAX_TEXT = 16 * 1024;

/** The pointer to member `token` of the value at `pointer`, escaped as in RFC 6901. */
export function childPointer(pointer: string, token: string | number): string {
  const text = String(token);
  const escaped = /[~/]/.test(text) ? text.replaceAll('~', '~0').replaceAll('/', '~1') : text;
  return `${pointer}/${escaped}`;
}

/**
 * The first `MAX_PROBLEMS` distinct problems, or fewer if they are long. A pointer that is too long is replaced by that of
 * the nearest ancestor, and the message says so, because a cut pointer would point elsewhere.
 */
export function report(problems: Iterable<Problem>): Problem[] {
  const seen = new Set<string>();
  const kept: Problem[] = [];
  let text = 0;
  for (const { pointer, message } of problems) {
    const shown = shortPointer(pointer);
    const what = shown === pointer ? message : `${message} (in a member whose name is too long to be shown)`;
    const problem = { pointer: shown, message: elided(what, MAX_MESSAGE) };
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

/** Whether a value is a JSON object: not an array, not null. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Finds a value that is nested in more than `levels` arrays and objects. A scalar has depth 0, `{}` has depth 1. Recursion
 * is limited by `levels`, even for a cyclic value.
 * @returns the pointer of the first one; null when there is none.
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
