// Gives up a segment of the archive whose file is lost: an operator discards the dead entry by which it was set aside.

import { removeSegment } from '../archive/archive.ts';
import { ARCHIVED, readArchivedMember } from '../redis/archive.ts';
import { commit } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf, partitionKeys } from '../redis/keys.ts';
import { scan } from '../redis/lists.ts';
import type { DeadEntry } from './dead-entries.ts';

const WHOLE = { order: 'asc', after: null, from: null, to: null } as const;

/**
 * If the dead entry is a segment that was set aside, removes the index entries of its tasks and then the segment: the tasks are
 * unknown from then on. Does nothing for other dead entries, or when the segment was brought back meanwhile. May be repeated
 * after a crash. Reads all archived tasks of the org.
 */
export async function forgetLostSegment(db: Db, { kind, partition, name, fields }: DeadEntry): Promise<void> {
  const { segments } = partitionKeys(db.prefix, partition);
  const [orgId, id] = name.split(' ');
  if (kind !== 'member' || fields[1] !== segments || orgId === undefined || id === undefined) return;
  const index = orgKeysOf(db.prefix, orgId).index(ARCHIVED);
  const isSetAside = { kind: 'score', key: segments, member: name, score: null } as const;
  for await (const members of scan(db, [index], WHOLE)) {
    const lost = members.filter((one) => readArchivedMember(one).segment === id);
    if (
      lost.length > 0 &&
      !(await commit(db.redis, { guards: [isSetAside], writes: [['ZREM', index, ...lost]] }))
    )
      return;
  }
  await removeSegment(db, orgId, id);
}
