// Keeps `last_used_at` of API keys and `last_seen_at` of workers up to date, to within a few minutes. A process writes each
// of them at most once in an interval, and a failure does not affect the request.

import { LRUCache } from 'lru-cache';
import { atMost } from '../../state/cache-entries.ts';
import { recordKeyUse } from '../../store/identity/api-keys.ts';
import type { Db } from '../../store/redis/connection.ts';
import { recordWorkerSeen } from '../../store/workers/last-seen.ts';
import type { Principal } from './principal.ts';

/** How often a process updates `last_used_at` of a key, ms. */
const USE_INTERVAL_MS = 5 * 60 * 1000;
/** How often a process updates `last_seen_at` of a worker, ms. */
const SEEN_INTERVAL_MS = 60 * 1000;
const MAX_REMEMBERED = 10_000;

export class LastUsed {
  readonly #db: Db;
  /** Workers whose `last_seen_at` has been updated recently. */
  readonly #recentlySeen = new LRUCache<string, true>({ ...atMost(MAX_REMEMBERED), ttl: SEEN_INTERVAL_MS });
  /** Ids of keys whose `last_used_at` has been updated recently. */
  readonly #recentlyUsed = new LRUCache<string, true>({ ...atMost(MAX_REMEMBERED), ttl: USE_INTERVAL_MS });

  constructor(db: Db) {
    this.#db = db;
  }

  /** Records that a credential was used. @param now ms. */
  async update(principal: Principal, now: number): Promise<void> {
    if (principal.kind === 'worker') {
      const name = `${principal.org_id} ${principal.worker_id} ${principal.incarnation}`;
      if (this.#recentlySeen.has(name)) return;
      this.#recentlySeen.set(name, true);
      await recordWorkerSeen(this.#db, principal, now).catch(() => undefined);
      return;
    }
    if (principal.kind !== 'api_key' || !principal.actor.startsWith('api_key:')) return;
    if (this.#recentlyUsed.has(principal.key_id)) return;
    this.#recentlyUsed.set(principal.key_id, true);
    await recordKeyUse(this.#db, principal, now).catch(() => undefined);
  }
}
