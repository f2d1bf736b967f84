// Lists: sorted sets whose members sort as text by creation. A page is read by member, not by number, so
// what is added or removed elsewhere never shifts it; several indexes are merged as they are read.

import type { Db } from './connection.ts';
import { isOfItem, reportFailed } from './unreadable.ts';

export interface Range {
  order: 'asc' | 'desc';
  /** Start behind this member; null from the beginning. */
  after: string | null;
  /** Only members at or above, and below, these texts. */
  from: string | null;
  to: string | null;
}

const CHUNK = 200;
/** Members that one page looks through at most, so that filters that hardly ever meet do not keep Redis busy. */
export const LOOKED_THROUGH_MOST = 20_000;

/** Index member of a record whose id does not sort by creation itself. */
export function listMember(createdAt: number, id: string): string {
  return `${String(createdAt).padStart(14, '0')}:${id}`;
}

/** The id in a member that `listMember` made. */
export function memberId(member: string): string {
  return member.slice(15);
}

/** Those of the members that are in at least one index of each family, in their order. */
export async function inEach(
  db: Db,
  families: readonly (readonly string[])[],
  members: string[],
): Promise<string[]> {
  if (families.length === 0) return members;
  const found = await Promise.all(
    families.map((family) => Promise.all(family.map((key) => db.redis.zmscore(key, ...members)))),
  );
  return members.filter((_, at) => found.every((family) => family.some((list) => list[at] !== null)));
}

/** Members of the union of `keys` in order, chunk by chunk, without repeats. */
export async function* scan(db: Db, keys: readonly string[], range: Range): AsyncGenerator<string[]> {
  let after = range.after;
  for (;;) {
    const { chunk, done } = await readChunk(db, keys, { ...range, after });
    if (chunk.length > 0) yield chunk;
    if (done) return;
    after = chunk.at(-1) ?? null;
  }
}

async function readChunk(
  db: Db,
  keys: readonly string[],
  range: Range,
): Promise<{ chunk: string[]; done: boolean }> {
  const ascending = range.order === 'asc';
  const low =
    ascending && range.after !== null ? `(${range.after}` : range.from === null ? '-' : `[${range.from}`;
  const high =
    !ascending && range.after !== null ? `(${range.after}` : range.to === null ? '+' : `(${range.to}`;
  const lists = await Promise.all(
    keys.map((key) =>
      ascending
        ? db.redis.zrangebylex(key, low, high, 'LIMIT', 0, CHUNK)
        : db.redis.zrevrangebylex(key, high, low, 'LIMIT', 0, CHUNK),
    ),
  );
  const before = (a: string, b: string) => (ascending ? a < b : a > b);
  // A full list may go on behind its last member; what lies behind the nearest such end is not known yet.
  const ends = lists.filter((list) => list.length === CHUNK).map((list) => list.at(-1) ?? '');
  const end = ends.reduce<string | null>(
    (near, one) => (near === null || before(one, near) ? one : near),
    null,
  );
  const merged = [...new Set(lists.flat())].sort((a, b) => (a === b ? 0 : before(a, b) ? -1 : 1));
  return { chunk: end === null ? merged : merged.filter((one) => !before(end, one)), done: end === null };
}

/**
 * One page: up to `limit` items for which `load` gives something, and the member to go on behind when there
 * are more. `load` is given members in order and answers for each with the item, or null to leave it out; `sift`
 * may leave members out before, which for many that do not fit is a lot cheaper. One member that `load` fails on is
 * left out and reported. A page that has looked through `LOOKED_THROUGH_MOST` members, or whose `signal` aborts, ends
 * there, be it full or not.
 */
export async function page<T>(
  db: Db,
  keys: readonly string[],
  range: Range,
  limit: number,
  load: (members: string[]) => Promise<(T | null)[]>,
  sift: (members: string[]) => Promise<string[]> = async (members) => members,
  signal?: AbortSignal,
): Promise<{ items: T[]; next: string | null }> {
  const items: T[] = [];
  let last: string | null = null;
  let lookedThrough = 0;
  for await (const scanned of scan(db, keys, range)) {
    const chunk = await sift(scanned);
    // Small steps when the page is nearly full: most lists need one more item than a page, to know there is one.
    let size = 1;
    for (let at = 0; at < chunk.length; ) {
      size = Math.max(2 * size, limit - items.length + 1);
      const step = chunk.slice(at, at + size);
      at += step.length;
      const loaded = await loadEach(db, keys, step, load);
      for (const [index, item] of loaded.entries()) {
        if (item === null) continue;
        if (items.length === limit) return { items, next: last };
        items.push(item);
        last = step[index] ?? null;
        size = 1;
      }
    }
    lookedThrough += scanned.length;
    if (lookedThrough >= LOOKED_THROUGH_MOST || signal?.aborted === true)
      return { items, next: scanned.at(-1) ?? null };
  }
  return { items, next: null };
}

async function loadEach<T>(
  db: Db,
  keys: readonly string[],
  members: string[],
  load: (members: string[]) => Promise<(T | null)[]>,
): Promise<(T | null)[]> {
  try {
    return await load(members);
  } catch (error) {
    if (!isOfItem(error)) throw error;
    const [only] = members;
    if (only === undefined) return [];
    if (members.length > 1)
      return (await Promise.all(members.map((one) => loadEach(db, keys, [one], load)))).flat();
    reportFailed(db, `${keys[0]} ${only}`, error);
    return [null];
  }
}
