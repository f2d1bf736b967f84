// Pages of lists: cursors and the form of the response. A cursor contains the last item of the page and is bound to the
// org, route and filters; with others it is rejected.

import { hash } from 'node:crypto';
import { canonicalText } from '../../state/text/canonical.ts';
import type { Db } from '../../store/redis/connection.ts';
import { page } from '../../store/redis/lists.ts';
import { ApiError } from './problem.ts';
import type { HttpResponse } from './response.ts';

export const DEFAULT_LIMIT = 50;

/**
 * A hash of everything that determines a list, to which its cursors are bound. The order of filters and of their values,
 * and repeated values, make no difference.
 */
export function listScope(...parts: unknown[]): string {
  const text = canonicalText(parts.map(normalized));
  return hash('sha256', text, 'base64url').slice(0, 16);
}

function normalized(part: unknown): unknown {
  if (Array.isArray(part)) return [...new Set(part)].sort();
  if (typeof part !== 'object' || part === null) return part ?? null;
  const given = Object.entries(part).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, normalized(value)]));
}

/** The cursor that continues after `last`. */
export function cursorOf(scope: string, last: string): string {
  return Buffer.from(JSON.stringify([scope, last])).toString('base64url');
}

/**
 * The list member after which a cursor continues; null without a cursor.
 * @param form pattern of the members, if Redis would reject others.
 * @throws ApiError 400 `invalid_cursor`
 */
export function readCursor(scope: string, cursor: string | undefined, form = /^/): string | null {
  if (cursor === undefined) return null;
  try {
    const [bound, last] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[];
    if (bound === scope && typeof last === 'string' && form.test(last)) return last;
  } catch {
    // Not a cursor of this API; rejected below.
  }
  throw new ApiError('invalid_cursor', 'The cursor does not belong to this list.');
}

/** The response of a list without pages. */
export function wholeList(data: unknown[]): HttpResponse {
  return { status: 200, body: { data, has_more: false, next_cursor: null } };
}

/** The response of a list. @param more further fields. */
export function listResponse(
  data: unknown[],
  scope: string,
  next: string | null,
  more: object = {},
): HttpResponse {
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

/** The query parameters of a page. */
export interface PageQuery {
  limit?: number;
  cursor?: string;
  order?: 'asc' | 'desc';
}

/** Where the items of a list are, and how they are shown. */
export interface ListSource<T> {
  /** Keys of the indexes that hold the list. */
  indexes: string[];
  /** What determines the list besides its order; its cursors are bound to that. */
  boundTo: readonly unknown[];
  /** The items of members of the indexes; null for one that does not exist or that the caller may not see. */
  load(members: string[]): Promise<(T | null)[]>;
  /** The public JSON of the items of the page. */
  show(items: T[]): unknown[] | Promise<unknown[]>;
}

/** The response with a page of a list, by creation. @throws ApiError 400 `invalid_cursor` */
export async function listPage<T>(
  db: Db,
  { limit = DEFAULT_LIMIT, cursor, order = 'desc' }: PageQuery,
  { indexes, boundTo, load, show }: ListSource<T>,
): Promise<HttpResponse> {
  const scope = listScope(...boundTo, order);
  const range = { order, after: readCursor(scope, cursor), from: null, to: null };
  const { items, next } = await page(db, indexes, range, limit, load);
  return listResponse(await show(items), scope, next);
}
