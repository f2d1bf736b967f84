// Walks the members of an index whose score, the time at which they are due, has passed. A member that fails on its own is
// reported and postponed, so that it blocks no others; a malformed member becomes a dead entry
// (`store/maintenance/dead-entries.ts`).

import { moveMemberToDead } from '../store/maintenance/dead-entries.ts';
import { commit } from '../store/redis/commit.ts';
import type { Db } from '../store/redis/connection.ts';
import type { Log } from '../store/redis/log.ts';
import {
  concernsOneItem,
  RETRY_UNREADABLE_AFTER_MS,
  reportFailed,
  UnreadableRecord,
} from '../store/redis/unreadable.ts';

/** Most members of an index in one walk. */
const BATCH = 500;
/** Delay before a member that only a newer process can read is tried again, ms. */
const RETRY_NEWER_AFTER_MS = 30_000;

/** An index, and the pattern of its members. */
export interface OverdueIndex {
  partition: string;
  key: string;
  pattern: RegExp;
}

/**
 * Runs `act` for each member that is due before `until`, the oldest first.
 * @param until ms. @returns the number of members that failed on their own.
 */
export async function forEachOverdue(
  db: Db,
  log: Log,
  { partition, key, pattern }: OverdueIndex,
  until: number,
  act: (member: string, score: number) => Promise<unknown>,
): Promise<number> {
  let failed = 0;
  for (const [member, score] of await overdueMembers(db, key, until)) {
    if (!pattern.test(member)) {
      const reason = 'the member of an index is malformed';
      log.error({ index: key, member }, `${reason}, and is set aside`);
      await moveMemberToDead(db, partition, key, { name: member, score, reason });
      failed += 1;
      continue;
    }
    try {
      await act(member, score);
    } catch (error) {
      if (!concernsOneItem(error)) throw error;
      failed += 1;
      reportFailed(db, `${key} ${member}`, error);
      const isNewer = error instanceof UnreadableRecord && error.kind === 'newer';
      const retryAt = db.clock.now() + (isNewer ? RETRY_NEWER_AFTER_MS : RETRY_UNREADABLE_AFTER_MS);
      await commit(db.redis, {
        guards: [{ kind: 'score', key, member, score }],
        writes: [['ZADD', key, 'XX', retryAt, member]],
      });
    }
  }
  return failed;
}

/** Removes a member that is done, unless it has got another due time meanwhile. */
export async function removeMember(db: Db, key: string, member: string, score: number): Promise<void> {
  await commit(db.redis, {
    guards: [{ kind: 'score', key, member, score }],
    writes: [['ZREM', key, member]],
  });
}

/** The members that are due before `until`, with their scores. */
async function overdueMembers(
  db: Db,
  key: string,
  until: number,
): Promise<[member: string, score: number][]> {
  const flat = await db.redis.zrangebyscore(key, 0, until, 'WITHSCORES', 'LIMIT', 0, BATCH);
  return Array.from({ length: flat.length / 2 }, (_, index) => [
    flat[2 * index] ?? '',
    Number(flat[2 * index + 1]),
  ]);
}
