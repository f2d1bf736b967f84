// Removes orphaned files: files of uploads that a crash interrupted, and evidence whose purge was not finished.

import type { EvidenceFiles } from '../evidence/files.ts';
import { removeOrphanedFile } from '../evidence/orphaned-files.ts';
import type { Db } from '../redis/connection.ts';
import { partitionKeys } from '../redis/keys.ts';
import { partitionsWith } from '../redis/partition-counts.ts';
import { forEachIntact } from '../redis/unreadable.ts';
import { moveMemberToDead } from './dead-entries.ts';

/** An orphaned file is kept this long, ms: longer than any upload takes. */
const ORPHAN_AGE = 3600 * 1000;
const PAGE = 500;
/** A valid member: the path of a file, or of all files of a task. */
const PATH = /^[\w-]+\/[\w-]+(\/[\w-]+)?$/;

/**
 * Removes orphaned files of all partitions.
 * @param age how long a file must have been orphaned, ms.
 * @returns how many were removed.
 * @throws the first error, after all the others have been tried.
 */
export async function sweepEvidence(db: Db, files: EvidenceFiles, age = ORPHAN_AGE): Promise<number> {
  if (db.clock.isFrozen) return 0;
  let removed = 0;
  const errors: unknown[] = [];
  const keyOf = (partition: string) => partitionKeys(db.prefix, partition).orphanedFiles;
  const orphaned = await partitionsWith(db, ({ orphanedFiles }) => [['ZCARD', orphanedFiles]]);
  await forEachIntact(db, orphaned, keyOf, async (partition) => {
    const key = keyOf(partition);
    const until = db.clock.now() - age;
    for (let remaining = 0, more = true; more; ) {
      const page = await db.redis.zrangebyscore(key, 0, until, 'WITHSCORES', 'LIMIT', remaining, PAGE);
      for (let at = 0; at + 1 < page.length; at += 2) {
        const path = page[at] ?? '';
        const score = Number(page[at + 1]);
        if (!PATH.test(path)) {
          const reason = 'the member of an index is malformed';
          await moveMemberToDead(db, partition, key, { name: path, score, reason });
          db.onUnreadable?.({ key: `${key} ${path}`, kind: 'broken', reason });
          continue;
        }
        const isRemoved = await removeOrphanedFile(db, files, path, score, score + age).catch((error) => {
          errors.push(error);
          return false;
        });
        if (isRemoved) removed += 1;
        else remaining += 1;
      }
      more = page.length === 2 * PAGE;
    }
  });
  await files.removeStale(age);
  if (errors.length > 0) throw errors[0];
  return removed;
}
