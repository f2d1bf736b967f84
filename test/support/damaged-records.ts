// Helpers for tests with damaged and newer records.

import { type DeadEntry, listDead } from '../../src/store/maintenance/dead-entries.ts';
import { withUnreadableLog } from '../../src/store/maintenance/unreadable-log.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import type { Log } from '../../src/store/redis/log.ts';

/** A log that keeps its lines. */
export function recordingLog(): Log & { lines: { fields: object; message: string }[] } {
  const lines: { fields: object; message: string }[] = [];
  const add = (fields: object, message: string) => lines.push({ fields, message });
  return { lines, debug: () => undefined, info: add, warn: add, error: add };
}

/** A store that logs unreadable records, as a process has it. */
export function withLoggedUnreadables(db: Db, log: Log = recordingLog()): Db {
  return withUnreadableLog(db, log);
}

/** All dead entries. */
export function deadEntries(db: Db): Promise<DeadEntry[]> {
  return listDead(db, null, 1000);
}
