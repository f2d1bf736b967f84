// What is read of archived tasks: the content of a task that is no longer in Redis, and its entry in the index of archived
// tasks.

import { ARCHIVED, type ArchivedEntry, type ArchivedTask, readArchivedMember } from '../redis/archive.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { fetched } from '../redis/unreadable.ts';

/**
 * What Redis holds about a task, or else the archive.
 * @param live reads Redis; null when there is nothing.
 * @returns null when neither has it, or when this process has no access to the archive. @throws the errors of the archive
 */
export async function liveOrArchived<T>(
  db: Db,
  orgId: string,
  taskId: string,
  live: () => Promise<T | null>,
  archived: (task: ArchivedTask) => T | null,
): Promise<T | null> {
  const found = await live();
  if (found !== null || db.archive === undefined) return found;
  const task = await db.archive.read(orgId, taskId);
  // Without an entry, it may have been restored since it was looked for in Redis.
  return task === null ? live() : archived(task);
}

/** The entry of an archived task; null when it is not archived. */
export async function archivedEntry(db: Db, orgId: string, taskId: string): Promise<ArchivedEntry | null> {
  const key = orgKeysOf(db.prefix, orgId).index(ARCHIVED);
  const range = [`[${taskId}:`, `(${taskId};`] as const;
  const [member] = await fetched(key, db.redis.zrangebylex(key, ...range, 'LIMIT', 0, 1));
  return member === undefined ? null : readArchivedMember(member);
}
