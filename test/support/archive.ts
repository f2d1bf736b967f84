// Archives finished tasks as a web process does in some weeks, and brings them back as it does before they are purged.
import { Archiver } from '../../src/processors/archiver.ts';
import { Archive } from '../../src/store/archive/archive.ts';
import type { EvidenceFiles } from '../../src/store/evidence/files.ts';
import { ARCHIVED } from '../../src/store/redis/archive.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { orgKeysOf } from '../../src/store/redis/keys.ts';
import type { Sealer } from '../../src/store/redis/sealing.ts';
import { serversOf } from '../../src/store/redis/servers.ts';
import { ERRORS_ONLY, withClockAhead } from './processors.ts';

export const DAY = 24 * 3600 * 1000;
/** Age from which tasks are archived in tests, ms. */
const AFTER = 30 * DAY;
/** When tasks that are finished now are archived, however few they are, ms from now. */
export const ARCHIVED_IN = AFTER + 8 * DAY;

export interface ArchiveParts {
  db: Db;
  files: EvidenceFiles;
  sealer: Sealer;
}

/** Opens the archive of a store. */
export function openArchive(parts: ArchiveParts): Archive {
  return new Archive(parts);
}

/** One run of the archiver `ahead` ms from now. */
export async function runArchiver({ db, ...parts }: ArchiveParts, ahead = ARCHIVED_IN): Promise<void> {
  const archive = new Archive({ db: withClockAhead(db, ahead), ...parts });
  await new Archiver({ archive, log: ERRORS_ONLY, after: AFTER, rest: 0 }).run();
}

/** The ids of the archived tasks and copies of an org. */
export async function archivedIds(db: Db, orgId: string): Promise<string[]> {
  const members = await db.redis.zrange(orgKeysOf(db.prefix, orgId).index(ARCHIVED), 0, '-1');
  return members.map((one) => one.slice(0, 36));
}

/** The keys of Redis, but for channels and queues, that hold anything about a task. */
export async function keysAbout(db: Db, orgId: string, taskId: string): Promise<string[]> {
  const { partition } = orgKeysOf(db.prefix, orgId);
  const found = async (pattern: string) =>
    (await Promise.all(serversOf(db.redis).map((one) => one.keys(pattern)))).flat();
  const own = await found(`${db.prefix}:?${partition}?:${orgId}:*:${taskId}`);
  const sets = await found(`${db.prefix}:?${partition}?:${orgId}:index:*`);
  const listed = await Promise.all(
    sets.map(async (key) => (await db.redis.zrange(key, 0, '-1')).some((one) => one.includes(taskId))),
  );
  return [...own, ...sets.filter((_, at) => listed[at])]
    .map((key) => key.slice(key.indexOf(orgId) + orgId.length + 1))
    .sort();
}
