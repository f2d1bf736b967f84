// Whether anyone may have to hear of the events of an org: it has webhook endpoints, or workers with notification channels. Most
// changes of a task cause nothing else, so without listeners they need no outbox entry. What is known here is a minute old at
// most; that there are none is a guard of the commit.

import { LRUCache } from 'lru-cache';
import { atMost } from '../../state/cache-entries.ts';
import type { Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

/** How long the listeners of an org are remembered, ms, and for how many orgs. */
const REMEMBERED_MS = 60_000;
const MAX_ORGS = 10_000;

const caches = new WeakMap<Db, LRUCache<string, boolean>>();

function cacheOf(db: Db): LRUCache<string, boolean> {
  const known = caches.get(db);
  if (known !== undefined) return known;
  const cache = new LRUCache<string, boolean>({ ...atMost(MAX_ORGS), ttl: REMEMBERED_MS, ttlResolution: 20 });
  caches.set(db, cache);
  return cache;
}

/** Whether the org has listeners, as far as is known: false is to be guarded by `noListeners`. */
export function hasListeners(db: Db, orgId: string): boolean | Promise<boolean> {
  return cacheOf(db).get(orgId) ?? findListeners(db, orgId);
}

/** Whether the org has listeners now. */
export async function findListeners(db: Db, orgId: string): Promise<boolean> {
  const has = (await db.redis.exists(...noListeners(db, orgId).map(({ key }) => key))) > 0;
  cacheOf(db).set(orgId, has);
  return has;
}

/** Guards that hold while the org has no listeners. */
export function noListeners(db: Db, orgId: string): Guard[] {
  const keys = orgKeysOf(db.prefix, orgId);
  return [
    { kind: 'absent', key: keys.index('endpoints') },
    { kind: 'absent', key: keys.notifiedWorkers },
  ];
}
