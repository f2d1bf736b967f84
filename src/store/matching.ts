// The look-ups behind matching: who is ready for a task, and which waiting task comes first for a worker.

import { decliners, isEligible, qualifies, rank, taskInPlace, wantedAttributes } from '../state/matching.ts';
import type { Requirements, Task } from '../state/task.ts';
import type { Worker } from '../state/worker.ts';
import { orgKeysOf } from './keys.ts';
import type { Db } from './redis.ts';
import { loadTask, type StoredTask } from './tasks.ts';
import { loadWorkers } from './workers.ts';

/** Workers looked at first, and at most, in one go: most tasks find theirs among the first few. */
const PAGE = 32;
const PAGE_MOST = 1024;

/**
 * The best `count` workers the task can be offered to now, best first. Looks through the ready workers of
 * the rarest attribute asked for, longest idle first, and stops as soon as no better can come.
 */
export async function findWorkers(db: Db, task: Task, count: number): Promise<Worker[]> {
  const keys = orgKeysOf(db.prefix, task.org_id);
  const sets = wantedAttributes(task).map(keys.ready);
  const counts = db.redis.pipeline();
  for (const key of sets) counts.zcard(key);
  const sizes = ((await counts.exec()) ?? []).map(([error, size]) => {
    if (error) throw error;
    return Number(size);
  });
  const smallest = sizes.indexOf(Math.min(...sizes));
  const key = sets[smallest];
  if (key === undefined || sizes[smallest] === 0) return [];

  const now = db.clock.now();
  const declined = decliners(task, now);
  const found: Worker[] = [];
  const asLast: Worker[] = [];
  let size = PAGE;
  for (let start = 0; found.length < count; start += size, size = Math.min(2 * size, PAGE_MOST)) {
    const ids = await db.redis.zrange(key, start, `${start + size - 1}`);
    for (const worker of await loadWorkers(db, task.org_id, ids)) {
      if (worker === null || !isEligible(worker, task, now)) continue;
      (declined.has(worker.worker_id) ? asLast : found).push(worker);
    }
    if (ids.length < size) break;
  }
  return rank([...found, ...asLast], task, now).slice(0, count);
}

/** The first waiting task that the worker is eligible for, over all lanes that fit; null when there is none. */
export async function firstWaitingFor(db: Db, worker: Worker): Promise<StoredTask | null> {
  const keys = orgKeysOf(db.prefix, worker.org_id);
  const lanes = Object.entries(await db.redis.hgetall(keys.lanes))
    .filter(([, wanted]) => qualifies(worker, JSON.parse(wanted) as Requirements))
    .map(([id]) => keys.lane(id));
  if (lanes.length === 0) return null;
  const now = db.clock.now();
  const refused = new Set<string>();
  // The heads are enough unless the worker declined one; what lies behind it is looked at before other lanes'.
  deeper: for (let depth = 1; ; depth *= 8) {
    const pipeline = db.redis.pipeline();
    for (const lane of lanes) pipeline.zrange(lane, 0, `${depth - 1}`);
    const heads = ((await pipeline.exec()) ?? []).flatMap(([error, reply]) => {
      if (error) throw error;
      const places = reply as string[];
      return places.map((place, index) => ({ place, mayHideMore: index === depth - 1 }));
    });
    heads.sort((a, b) => (a.place < b.place ? -1 : 1));
    for (const { place, mayHideMore } of heads) {
      if (!refused.has(place)) {
        const stored = await loadTask(db, worker.org_id, taskInPlace(place));
        if (stored?.task.status === 'queued' && isEligible(worker, stored.task, now)) return stored;
        refused.add(place);
      }
      if (mayHideMore) continue deeper;
    }
    return null;
  }
}
