// When a worker last used their token. It is a field of the worker's hash beside the record, so that
// recording it changes no version and notifies nobody.

import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

const NOTE = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'u', ARGV[1]) end";

/** Records that the worker was seen. @param at ms. */
export async function recordWorkerSeen(
  db: Db,
  worker: { org_id: string; worker_id: string },
  at: number,
): Promise<void> {
  await db.redis.eval(NOTE, 1, orgKeysOf(db.prefix, worker.org_id).worker(worker.worker_id), at);
}

/** When the workers were last seen, ms, in the order of `ids`; null for never. */
export function lastSeen(db: Db, orgId: string, ids: readonly string[]): Promise<(number | null)[]> {
  const { worker } = orgKeysOf(db.prefix, orgId);
  return Promise.all(
    ids.map(async (id) => {
      const at = await db.redis.hget(worker(id), 'u');
      return at === null ? null : Number(at);
    }),
  );
}
