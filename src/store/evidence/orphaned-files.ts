// Orphaned files: files that are not evidence of any task, because their upload is under way or broke off, or because
// their task was purged. The partition's `orphaned-files` set lists their paths by the time of upload. A score of 0
// is a tombstone: the file is certain to be removed, and no upload can make it evidence.

import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { partitionKeys, partitionOf } from '../redis/keys.ts';
import type { EvidenceFiles } from './files.ts';

/** The score of a file that is certain to be removed. */
export const TOMBSTONE = 0;

/** The key of the set that lists the file while it is orphaned. @param path from `evidencePath` or `taskFilesPath`. */
export function orphanedFilesKey(db: Db, path: string): string {
  const [orgId = ''] = path.split('/');
  return partitionKeys(db.prefix, partitionOf(orgId)).orphanedFiles;
}

/**
 * Removes a file, or all files of a task, unless it has become evidence.
 * @param score its score in the set. @param due when it may be removed, ms; null for at once.
 * @returns false when it is no longer in the set with this score. @throws NotDueError, FileStoreError
 */
export async function removeOrphanedFile(
  db: Db,
  files: EvidenceFiles,
  path: string,
  score: number,
  due: number | null,
): Promise<boolean> {
  const key = orphanedFilesKey(db, path);
  const isMarked = await commit(db.redis, {
    guards: [
      { kind: 'score', key, member: path, score },
      ...(due === null ? [] : [{ kind: 'due', key, at: due, clock: db.clock } as const]),
    ],
    writes: [['ZADD', key, TOMBSTONE, path]],
  });
  if (!isMarked) return false;
  const isFile = path.split('/').length === 3;
  await (isFile ? files.remove(path) : files.removeAll(path));
  await db.redis.zrem(key, path);
  return true;
}
