// Orphaned files: files that are neither evidence of a task nor a segment of the archive, because they are being stored, or that
// broke off, or because their task was purged. The partition's `orphaned-files` set lists their paths by the time of upload. A score of 0
// is a tombstone: the file is certain to be removed, and no upload can make it evidence.

import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { partitionKeys, partitionOf } from '../redis/keys.ts';
import type { EvidenceFiles, Incoming } from './files.ts';

/** The score of a file that is certain to be removed. */
export const TOMBSTONE = 0;

/** The key of the set that lists the file while it is orphaned. @param path from `evidencePath` or `taskFilesPath`. */
function orphanedFilesKey(db: Db, path: string): string {
  const [orgId = ''] = path.split('/');
  return partitionKeys(db.prefix, partitionOf(orgId)).orphanedFiles;
}

/** A stored file that is still orphaned. */
export interface StagedFile {
  bytes: number;
  sha256: string;
  /** Its path in the file store. */
  path: string;
  /** When it was added to the orphaned files, ms. */
  staged_at: number;
}

/**
 * Stores the received bytes as an orphaned file, for a commit to take it out of these.
 * @throws FileStoreError; the client's error in an outage. The bytes are then removed, at the latest by the next sweep.
 */
export async function stageFile(
  db: Db,
  files: EvidenceFiles,
  path: string,
  incoming: Incoming,
): Promise<StagedFile> {
  const staged = { bytes: incoming.bytes, sha256: incoming.sha256, path, staged_at: db.clock.now() };
  await db.redis.zadd(orphanedFilesKey(db, path), staged.staged_at, path);
  try {
    await files.keep(path, incoming);
  } catch (error) {
    await dropStaged(db, files, staged);
    throw error;
  }
  return staged;
}

/** Removes a staged file unless it is in use by now. A failure is ignored: the sweep removes the file later. */
export async function dropStaged(
  db: Db,
  files: EvidenceFiles,
  { path, staged_at }: StagedFile,
): Promise<void> {
  await removeOrphanedFile(db, files, path, staged_at, null).catch(() => undefined);
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
