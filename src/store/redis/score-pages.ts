// Reads a sorted set by score, page by page, while members are removed from it and added to it.

import type { RedisClient } from './servers.ts';

export type Scored = readonly [member: string, score: number];

/** Members with their scores, from a reply in which they take turns. */
export function scoredFrom(flat: readonly string[]): Scored[] {
  return Array.from(
    { length: flat.length / 2 },
    (_, index): Scored => [flat[2 * index] ?? '', Number(flat[2 * index + 1])],
  );
}

/**
 * The members with scores from `from` to `until`, lowest first, each once.
 * @param size most members of a page
 */
export async function* pagesByScore(
  redis: RedisClient,
  key: string,
  { from, until, size }: { from: number; until: number; size: number },
): AsyncGenerator<readonly Scored[]> {
  let first = from;
  // Members of the last score, with which the next read begins, as far as they are still there.
  let seen = new Set<string>();
  for (;;) {
    // Grows while all members share a score, so that they are not read again for each page.
    const limit = size + 2 * seen.size;
    const read = scoredFrom(await redis.zrangebyscore(key, first, until, 'WITHSCORES', 'LIMIT', 0, limit));
    const fresh = read.filter(([member, score]) => score !== first || !seen.has(member));
    for (let at = 0; at < fresh.length; at += size) yield fresh.slice(at, at + size);
    const last = read.at(-1)?.[1];
    if (last === undefined || read.length < limit) return;
    const ofLast = read.filter(([, score]) => score === last).map(([member]) => member);
    seen = new Set(last === first ? [...seen, ...ofLast] : ofLast);
    first = last;
  }
}
