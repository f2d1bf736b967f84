// Empties a removed pool: its workers leave it, and tasks that workers hold return to the queue. There they wait until a
// pool with that id is created again, an integrator cancels them, or their deadline passes. Until the pool is empty, no
// pool with that id can be created.

import { poolOf } from '../state/tasks/task.ts';
import { next } from '../state/workers/worker.ts';
import { changeTask, type Plan } from '../store/commands/change.ts';
import { commit, type Guard } from '../store/redis/commit.ts';
import type { Db } from '../store/redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../store/redis/contention.ts';
import { orgKeysOf } from '../store/redis/keys.ts';
import { memberId, scan } from '../store/redis/lists.ts';
import { forEachIntact, nullIfBroken } from '../store/redis/unreadable.ts';
import { OPEN_COPIES } from '../store/tasks/copies-index.ts';
import { loadTasks, type StoredTask } from '../store/tasks/tasks.ts';
import { loadPool, poolRemovedAt, releaseRemovedPool } from '../store/workers/pools.ts';
import { loadWorker, loadWorkers, workerWrites } from '../store/workers/workers.ts';

const EVERYTHING = { order: 'asc', after: null, from: null, to: null } as const;
/** States in which a worker has the task or an offer of it. */
const IN_HAND = ['matched', 'offered', 'accepted', 'started'] as const;

/** Empties a removed pool and then frees its id. If part of it fails by itself, the sweeper repeats it all. */
export async function emptyPool(db: Db, orgId: string, poolId: string): Promise<void> {
  const removedAt = await poolRemovedAt(db, orgId, poolId);
  if ((await loadPool(db, orgId, poolId)) !== null) return;
  let failed = 0;
  const keys = orgKeysOf(db.prefix, orgId);
  // Workers leave first, so that a released task is not offered to one of them again.
  for await (const members of scan(db, [keys.index('workers')], EVERYTHING)) {
    const workers = await loadWorkers(db, orgId, members.map(memberId));
    // A worker that was not read may have a newer format version; `leavePool` distinguishes that from a removed worker.
    const ids = members.map(memberId).filter((_, index) => workers[index]?.pool_ids.includes(poolId) ?? true);
    failed += await forEachIntact(db, ids, keys.worker, (id) => leavePool(db, orgId, id, poolId));
  }
  const inHand = [...IN_HAND.map((status) => `status:${status}`), OPEN_COPIES].map(keys.index);
  const keyOf = ({ task }: StoredTask) => keys.task(task.task_id);
  for await (const ids of scan(db, inHand, EVERYTHING)) {
    const found = (await loadTasks(db, orgId, ids)).filter((one) => one !== null);
    const theirs = found.filter(({ task }) => poolOf(task) === poolId);
    failed += await forEachIntact(db, theirs, keyOf, (loaded) =>
      changeTask(db, orgId, loaded.task.task_id, () => removePool(db, orgId, poolId), {
        actor: 'system',
        loaded,
      }),
    );
  }
  if (failed === 0 && removedAt !== null) await releaseRemovedPool(db, orgId, poolId, removedAt);
}

/** A guard that holds while no new pool has this id. */
function isGone(db: Db, orgId: string, poolId: string): Guard {
  return { kind: 'absent', key: orgKeysOf(db.prefix, orgId).pool(poolId) };
}

async function removePool(db: Db, orgId: string, poolId: string): Promise<Plan | null> {
  if ((await loadPool(db, orgId, poolId)) !== null) return null;
  return { commands: [{ name: 'remove_pool' }], guards: [isGone(db, orgId, poolId)] };
}

async function leavePool(db: Db, orgId: string, workerId: string, poolId: string): Promise<void> {
  return updateWithRetry('worker', async () => {
    const [before, pool] = await Promise.all([
      nullIfBroken(db, () => loadWorker(db, orgId, workerId)),
      loadPool(db, orgId, poolId),
    ]);
    if (!before?.pool_ids.includes(poolId) || pool !== null) return;
    const pool_ids = before.pool_ids.filter((id) => id !== poolId);
    const { guards, writes } = workerWrites(db, before, next(before, { pool_ids }, db.clock.now()));
    if (await commit(db.redis, { guards: [...guards, isGone(db, orgId, poolId)], writes })) return;
    return CONFLICT;
  });
}
