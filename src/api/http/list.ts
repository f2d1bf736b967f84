// Pages of lists: what a cursor is, and the shape of the answer. A cursor names the last item shown and is
// bound to its org, route and filters; with any other it is refused.

import { hash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { Answer } from './answer.ts';
import { ApiError } from './problem.ts';

export const DEFAULT_LIMIT = 50;

/**
 * What a cursor is bound to: anything that makes another list. Filters that mean the same make the same: in whatever
 * order they and their values stand, and however often a value is repeated.
 */
export function listScope(...parts: unknown[]): string {
  const text = canonicalize(parts.map(sameMeaning)) ?? '';
  return hash('sha256', text, 'base64url').slice(0, 16);
}

function sameMeaning(part: unknown): unknown {
  if (Array.isArray(part)) return [...new Set(part)].sort();
  if (typeof part !== 'object' || part === null) return part ?? null;
  const given = Object.entries(part).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, sameMeaning(value)]));
}

/** The cursor that goes on behind `last`. */
export function cursorOf(scope: string, last: string): string {
  return Buffer.from(JSON.stringify([scope, last])).toString('base64url');
}

/**
 * The member a cursor goes on behind; null without a cursor.
 * @param form what the members of the list look like, where another would be an error to Redis.
 * @throws ApiError 400 `invalid_cursor`
 */
export function readCursor(scope: string, cursor: string | undefined, form = /^/): string | null {
  if (cursor === undefined) return null;
  try {
    const [bound, last] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
    if (bound === scope && typeof last === 'string' && form.test(last)) return last;
  } catch {
    // Not one of ours; said below.
  }
  throw new ApiError('invalid_cursor', 'The cursor does not belong to this list.');
}

/** The answer of a list. @param more what it says beside its items. */
export function listAnswer(data: unknown[], scope: string, next: string | null, more: object = {}): Answer {
  return {
    status: 200,
    body: {
      data,
      has_more: next !== null,
      next_cursor: next === null ? null : cursorOf(scope, next),
      ...more,
    },
  };
}
