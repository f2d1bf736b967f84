// Filters of the list of workers, and workers with when they were last seen.

import { inBoth } from '../../../state/access/permission.ts';
import { timestamp } from '../../../state/text/time.ts';
import { workerView } from '../../../state/workers/view.ts';
import type { Worker } from '../../../state/workers/worker.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { lastSeen } from '../../../store/workers/last-seen.ts';
import type { KeyPrincipal } from '../../access/principal.ts';

interface Filters {
  pool?: string[];
  availability?: string[];
  skill?: string[];
  idle_for_seconds?: number;
  at_capacity?: boolean;
}

/** Whether a worker passes the filters. A pool counts only if the key may see it. @param now ms. */
export function isWanted(
  worker: Worker,
  viewer: { pools: readonly string[] },
  filters: Filters,
  now: number,
): boolean {
  const { pool, availability, skill, idle_for_seconds: idleFor, at_capacity } = filters;
  const { skills, reservations, capacity, idle_since } = worker;
  return (
    (pool === undefined || inBoth(worker.pool_ids, viewer.pools).some((id) => pool.includes(id))) &&
    (availability === undefined || availability.includes(worker.availability)) &&
    (skill === undefined || skill.every((one) => skills.includes(one))) &&
    (idleFor === undefined || (reservations.length === 0 && idle_since + idleFor * 1000 <= now)) &&
    (at_capacity === undefined || at_capacity === reservations.length >= capacity)
  );
}

/** The workers as the key sees them, with when they were last seen. */
export async function seenViews(
  db: Db,
  principal: KeyPrincipal,
  workers: readonly Worker[],
): Promise<object[]> {
  const ids = workers.map((one) => one.worker_id);
  const seen = await lastSeen(db, principal.org_id, ids);
  return workers.map((worker, index) => {
    const at = seen[index] ?? null;
    return { ...workerView(worker, principal), last_seen_at: at === null ? null : timestamp(at) };
  });
}
