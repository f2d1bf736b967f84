// Lists: sorted sets whose members sort as text by creation time. A page continues after a member, not at an offset, so
// members that are added or removed elsewhere never shift it. Several indexes are merged while they are read.

import { readArchivedMember } from './archive.ts';
import { atomicRead, type Read } from './atomic-read.ts';
import type { Db } from './connection.ts';
import { concernsOneItem, reportFailed } from './unreadable.ts';

/** Part of a list to read. */
export interface Range {
  order: 'asc' | 'desc';
  /** Start after this member; null: at the beginning. */
  after: string | null;
  /** Only members from `from`, below `to`; null: no bound. */
  from: string | null;
  to: string | null;
}

/** Members of the first chunk of a scan. */
const CHUNK = 200;
/** Members of a chunk of a page at most: each is twice as large as the one before, because matches are rare then. */
export const MAX_CHUNK = 1600;
/** Most members that one page examines, so that filters with few matches do not keep Redis busy: four chunks of an index. */
export const MAX_EXAMINED = 3000;

/** Index member of a record whose id does not sort by creation time. @param createdAt ms. */
export function listMember(createdAt: number, id: string): string {
  return `${String(createdAt).padStart(14, '0')}:${id}`;
}

/** The id in a member from `listMember`. */
export function memberId(member: string): string {
  return member.slice(15);
}

/** Those of the members that are in at least one index of each family, in the same order. */
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

/**
 * Members of the union of the indexes in order, in chunks, without duplicates.
 * @param archived the index of archived tasks, whose members count as the ids that they begin with. It is read together with
 *   the others in one atomic read, so that no task is missed while it moves from one to the other.
 * @param maxChunk up to which each chunk is twice as large as the one before
 */
export async function* scan(
  db: Db,
  keys: readonly string[],
  range: Range,
  { archived, maxChunk = CHUNK }: { archived?: string; maxChunk?: number } = {},
): AsyncGenerator<string[]> {
  let after = range.after;
  for (let size = CHUNK; ; size = Math.min(maxChunk, 2 * size)) {
    const { chunk, done } = await readChunk(db, keys, { ...range, after }, size, archived);
    if (chunk.length > 0) yield chunk;
    if (done) return;
    after = chunk.at(-1) ?? null;
  }
}

async function readChunk(
  db: Db,
  keys: readonly string[],
  range: Range,
  size: number,
  archived: string | undefined,
): Promise<{ chunk: string[]; done: boolean }> {
  const ascending = range.order === 'asc';
  const lists = await (archived === undefined
    ? readLists(db, keys, range, size)
    : readWithArchived(db, keys, range, size, archived));
  const before = (a: string, b: string) => (ascending ? a < b : a > b);
  // An index with a full chunk may continue. Members after the nearest such end are left to the next chunk.
  const ends = lists.filter((list) => list.length === size).map((list) => list.at(-1) ?? '');
  const end = ends.reduce<string | null>(
    (near, one) => (near === null || before(one, near) ? one : near),
    null,
  );
  const merged = [...new Set(lists.flat())].sort((a, b) => (a === b ? 0 : before(a, b) ? -1 : 1));
  return { chunk: end === null ? merged : merged.filter((one) => !before(end, one)), done: end === null };
}

/** The bounds of a range, as Redis takes them. */
function boundsOf({ order, after, from, to }: Range): { low: string; high: string } {
  const ascending = order === 'asc';
  return {
    low: ascending && after !== null ? `(${after}` : from === null ? '-' : `[${from}`,
    high: !ascending && after !== null ? `(${after}` : to === null ? '+' : `(${to}`,
  };
}

/** What a list of archived tasks continues after, when its last id is `after`: the member of that id goes on behind it. */
export function afterArchived({ order, after }: Pick<Range, 'order' | 'after'>): string | null {
  return order === 'asc' && after !== null ? `${after};` : after;
}

/** The next members of each index, at most `size` of each. */
function readLists(db: Db, keys: readonly string[], range: Range, size: number): Promise<string[][]> {
  const { low, high } = boundsOf(range);
  return Promise.all(
    keys.map((key) =>
      range.order === 'asc'
        ? db.redis.zrangebylex(key, low, high, 'LIMIT', 0, size)
        : db.redis.zrevrangebylex(key, high, low, 'LIMIT', 0, size),
    ),
  );
}

/** As `readLists`, and of the index of archived tasks as ids, in one atomic read. */
async function readWithArchived(
  db: Db,
  keys: readonly string[],
  range: Range,
  size: number,
  archived: string,
): Promise<string[][]> {
  const { low, high } = boundsOf(range);
  const ascending = range.order === 'asc';
  const start = boundsOf({ ...range, after: afterArchived(range) }).low;
  const reads = [...keys.map((key) => [key, low] as const), [archived, start] as const].map(
    ([key, from]): Read =>
      ascending
        ? ['ZRANGEBYLEX', key, from, high, 'LIMIT', 0, size]
        : ['ZREVRANGEBYLEX', key, high, from, 'LIMIT', 0, size],
  );
  const lists = (await Promise.all(await atomicRead(db.redis, reads))) as string[][];
  return lists.map((list, at) =>
    at < keys.length ? list : list.map((one) => readArchivedMember(one).task_id),
  );
}

/**
 * One page of a list. It may end before it is full: after `MAX_EXAMINED` members, or when `signal` aborts.
 * @param limit most items.
 * @param load returns the item of each member, or null to leave it out. A member that it fails on is left out and
 *   reported.
 * @param filter may leave members out before they are loaded, which is much cheaper.
 * @returns the items, and the member after which the next page starts; null at the end.
 */
export async function page<T>(
  db: Db,
  keys: readonly string[],
  range: Range,
  limit: number,
  load: (members: string[]) => Promise<(T | null)[]>,
  filter: (members: string[]) => Promise<string[]> = async (members) => members,
  signal?: AbortSignal,
): Promise<{ items: T[]; next: string | null }> {
  const items: T[] = [];
  let last: string | null = null;
  let examined = 0;
  for await (const scanned of scan(db, keys, range, { maxChunk: MAX_CHUNK })) {
    const chunk = await filter(scanned);
    // Small steps when the page is nearly full: one more item than the page tells whether there is a next page.
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
    examined += scanned.length;
    if (examined >= MAX_EXAMINED || signal?.aborted === true) return { items, next: scanned.at(-1) ?? null };
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
    if (!concernsOneItem(error)) throw error;
    const [only] = members;
    if (only === undefined) return [];
    if (members.length > 1)
      return (await Promise.all(members.map((one) => loadEach(db, keys, [one], load)))).flat();
    reportFailed(db, `${keys[0]} ${only}`, error);
    return [null];
  }
}
