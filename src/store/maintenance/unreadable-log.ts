// Reports records that cannot be read: once in the log of the process, and once in `dead-entries` for the operator.

import { LRUCache } from 'lru-cache';
import type { Db } from '../redis/connection.ts';
import type { Log } from '../redis/log.ts';
import { addDeadRecord } from './dead-entries.ts';

/** A record is reported again after this, ms. */
const REPORT_INTERVAL = 600_000;
const MAX_CACHED = 1000;

/** The store, with unreadable records reported to the log and the dead entries. */
export function withUnreadableLog(db: Db, log: Pick<Log, 'info' | 'error'>): Db {
  const reported = new LRUCache<string, true>({ max: MAX_CACHED, ttl: REPORT_INTERVAL });
  return {
    ...db,
    onUnreadable({ key, kind, reason }) {
      if (reported.has(key)) return;
      reported.set(key, true);
      if (kind === 'newer') return log.info({ key, reason }, 'a record is left to a newer process');
      log.error({ key, reason }, 'a record cannot be read and is left out');
      addDeadRecord(db, key, reason).catch(() => reported.delete(key));
    },
  };
}
