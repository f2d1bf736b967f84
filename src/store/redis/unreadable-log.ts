// Tells of records that cannot be read: once in the log of a process, and once to the operator (`dead-entries.ts`).

import { noteRecord } from '../maintenance/dead-entries.ts';
import type { Db } from './connection.ts';

interface Log {
  error(fields: object, message: string): void;
  info(fields: object, message: string): void;
}

/** A record that is met again after this is told of again, ms. */
const AGAIN = 600_000;
const REMEMBERED_MOST = 1000;

/** The store with its records told of that cannot be read. */
export function withUnreadableLog(db: Db, log: Log): Db {
  const told = new Map<string, number>();
  return {
    ...db,
    onUnreadable({ key, kind, reason }) {
      const now = performance.now();
      if ((told.get(key) ?? Number.NEGATIVE_INFINITY) > now - AGAIN) return;
      if (told.size >= REMEMBERED_MOST) told.clear();
      told.set(key, now);
      if (kind === 'newer') return log.info({ key, reason }, 'a record is left to a newer process');
      log.error({ key, reason }, 'a record cannot be read and is passed over');
      noteRecord(db, key, reason).catch(() => told.delete(key));
    },
  };
}
