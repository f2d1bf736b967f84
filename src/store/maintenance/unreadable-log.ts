// Reports records that cannot be read: once in the log of the process, and once in `dead-entries` for the operator.

import type { Db } from '../redis/connection.ts';
import type { Log } from '../redis/log.ts';
import { noteRecord } from './dead-entries.ts';

/** A record is reported again after this, ms. */
const AGAIN = 600_000;
const REMEMBERED_MOST = 1000;

/** The store, with unreadable records reported to the log and the dead entries. */
export function withUnreadableLog(db: Db, log: Pick<Log, 'info' | 'error'>): Db {
  const reportedAt = new Map<string, number>();
  return {
    ...db,
    onUnreadable({ key, kind, reason }) {
      const now = performance.now();
      if ((reportedAt.get(key) ?? Number.NEGATIVE_INFINITY) > now - AGAIN) return;
      if (reportedAt.size >= REMEMBERED_MOST) reportedAt.clear();
      reportedAt.set(key, now);
      if (kind === 'newer') return log.info({ key, reason }, 'a record is left to a newer process');
      log.error({ key, reason }, 'a record cannot be read and is passed over');
      noteRecord(db, key, reason).catch(() => reportedAt.delete(key));
    },
  };
}
