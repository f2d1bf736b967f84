// What follows from the removal of a pool: its workers belong to it no more, and its tasks go back to the queue
// from whoever has them. They wait there until there is a pool of that id again, somebody cancels them, or
// their deadline fails them: that they were for these people alone does not end with the pool.

import { poolOf } from '../state/tasks/task.ts';
import { next } from '../state/workers/worker.ts';
import { changeTask, type Plan } from '../store/commands/change.ts';
import { commit, type Guard } from '../store/redis/commit.ts';
import type { Db } from '../store/redis/connection.ts';
import { ContendedError, updateAttempts } from '../store/redis/contention.ts';
import { orgKeysOf } from '../store/redis/keys.ts';
import { memberId, scan } from '../store/redis/lists.ts';
import { forEachIntact } from '../store/redis/unreadable.ts';
import { loadTasks, type StoredTask } from '../store/tasks/tasks.ts';
import { loadPool } from '../store/workers/pools.ts';
import { loadWorker, loadWorkers, workerWrites } from '../store/workers/workers.ts';

const EVERYTHING = { order: 'asc', after: null, from: null, to: null } as const;
/** Where somebody has the task, or is asked. */
const IN_HAND = ['matched', 'offered', 'accepted', 'started'] as const;

/** Empties a removed pool, as often as it takes; leaves one that is there again as it is. */
export async function emptyPool(db: Db, orgId: string, poolId: string): Promise<void> {
  if ((await loadPool(db, orgId, poolId)) !== null) return;
  const keys = orgKeysOf(db.prefix, orgId);
  // The workers first: nobody is to be asked again for what is taken back.
  for await (const members of scan(db, [keys.index('workers')], EVERYTHING)) {
    const workers = await loadWorkers(db, orgId, members.map(memberId));
    const theirs = workers.filter((one) => one !== null).filter((one) => one.pool_ids.includes(poolId));
    const ids = theirs.map((one) => one.worker_id);
    await forEachIntact(db, ids, keys.worker, (id) => leavePool(db, orgId, id, poolId));
  }
  const inHand = IN_HAND.map((status) => keys.index(`status:${status}`));
  const keyOf = ({ task }: StoredTask) => keys.task(task.task_id);
  for await (const ids of scan(db, inHand, EVERYTHING)) {
    const found = (await loadTasks(db, orgId, ids)).filter((one) => one !== null);
    const theirs = found.filter(({ task }) => poolOf(task) === poolId);
    await forEachIntact(db, theirs, keyOf, (loaded) =>
      changeTask(db, orgId, loaded.task.task_id, () => removePool(db, orgId, poolId), {
        actor: 'system',
        loaded,
      }),
    );
  }
}

/** The guard that the pool is not there again. */
function isGone(db: Db, orgId: string, poolId: string): Guard {
  return { kind: 'absent', key: orgKeysOf(db.prefix, orgId).pool(poolId) };
}

async function removePool(db: Db, orgId: string, poolId: string): Promise<Plan | null> {
  if ((await loadPool(db, orgId, poolId)) !== null) return null;
  return { commands: [{ name: 'remove_pool' }], guards: [isGone(db, orgId, poolId)] };
}

async function leavePool(db: Db, orgId: string, workerId: string, poolId: string): Promise<void> {
  for await (const _attempt of updateAttempts()) {
    const [before, pool] = await Promise.all([loadWorker(db, orgId, workerId), loadPool(db, orgId, poolId)]);
    if (before === null || pool !== null) return;
    const pool_ids = before.pool_ids.filter((id) => id !== poolId);
    const { guards, writes } = workerWrites(db, before, next(before, { pool_ids }, db.clock.now()));
    if (await commit(db.redis, [...guards, isGone(db, orgId, poolId)], writes)) return;
  }
  throw new ContendedError('worker');
}
