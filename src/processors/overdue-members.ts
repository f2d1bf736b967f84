// Walks the members of an index whose score, the time at which they are due, has passed. A member that fails on its own is
// reported and postponed, so that it blocks no others; a malformed member becomes a dead entry
// (`store/maintenance/dead-entries.ts`).

import { moveMemberToDead } from '../store/maintenance/dead-entries.ts';
import { commit } from '../store/redis/commit.ts';
import type { Db } from '../store/redis/connection.ts';
import type { Log } from '../store/redis/log.ts';
import { pagesByScore, type Scored } from '../store/redis/score-pages.ts';
import {
  concernsOneItem,
  RETRY_UNREADABLE_AFTER_MS,
  reportFailed,
  UnreadableRecord,
} from '../store/redis/unreadable.ts';

/** Members that are read at once. */
const PAGE = 500;
/** Members that are worked on at the same time. */
const AT_ONCE = 50;
/** Delay before a member that only a newer process can read is tried again, ms. */
const RETRY_NEWER_AFTER_MS = 30_000;

/** An index, and the pattern of its members. */
export interface OverdueIndex {
  partition: string;
  key: string;
  pattern: RegExp;
}

/**
 * Runs `act` for each member that is due before `until`, page by page, the oldest first.
 * @param until ms. @param mayContinue called after each page; false ends the walk.
 * @returns the number of members that failed on their own.
 */
export async function forEachOverdue(
  db: Db,
  log: Log,
  index: OverdueIndex,
  until: number,
  act: (member: string, score: number) => Promise<unknown>,
  mayContinue: () => Promise<boolean>,
): Promise<number> {
  let failed = 0;
  for await (const page of pagesByScore(db.redis, index.key, { from: 0, until, size: PAGE })) {
    for (let at = 0; at < page.length; at += AT_ONCE) {
      const all = page.slice(at, at + AT_ONCE).map((one) => actOnMember(db, log, index, one, act));
      // All end before an error of the whole, such as an outage, ends the walk.
      for (const one of await Promise.allSettled(all))
        if (one.status === 'rejected') throw one.reason;
        else if (!one.value) failed += 1;
    }
    if (!(await mayContinue())) break;
  }
  return failed;
}

/**
 * Runs `act` for a member. If it is malformed or fails on its own, it is set aside or postponed, and reported.
 * @returns false when the member failed on its own. @throws an error that concerns all of them, such as an outage
 */
export async function actOnMember(
  db: Db,
  log: Log,
  { partition, key, pattern }: OverdueIndex,
  [member, score]: Scored,
  act: (member: string, score: number) => Promise<unknown>,
): Promise<boolean> {
  if (!pattern.test(member)) {
    const reason = 'the member of an index is malformed';
    log.error({ index: key, member }, 'the member of an index is malformed, and is set aside');
    await moveMemberToDead(db, partition, key, { name: member, score, reason });
    return false;
  }
  try {
    await act(member, score);
    return true;
  } catch (error) {
    if (!concernsOneItem(error)) throw error;
    reportFailed(db, `${key} ${member}`, error);
    const isNewer = error instanceof UnreadableRecord && error.kind === 'newer';
    const retryAt = db.clock.now() + (isNewer ? RETRY_NEWER_AFTER_MS : RETRY_UNREADABLE_AFTER_MS);
    await commit(db.redis, {
      guards: [{ kind: 'score', key, member, score }],
      writes: [['ZADD', key, 'XX', retryAt, member]],
    });
    return false;
  }
}

/** Removes a member that is done, unless it has got another due time meanwhile. */
export async function removeMember(db: Db, key: string, member: string, score: number): Promise<void> {
  await commit(db.redis, {
    guards: [{ kind: 'score', key, member, score }],
    writes: [['ZREM', key, member]],
  });
}
