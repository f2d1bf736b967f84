// What follows from the removal of a pool: its workers belong to it no more, and its tasks go back to the queue
// from whoever has them. They wait there until there is a pool of that id again, somebody cancels them, or
// their deadline fails them: that they were for these people alone does not end with the pool.

import { poolOf } from '../state/task.ts';
import { next } from '../state/worker.ts';
import { changeTask } from '../store/change.ts';
import { commit } from '../store/commit.ts';
import { ContendedError, updateAttempts } from '../store/contention.ts';
import { orgKeysOf } from '../store/keys.ts';
import { memberId, scan } from '../store/lists.ts';
import { loadPool } from '../store/pools.ts';
import type { Db } from '../store/redis.ts';
import { loadTasks, type StoredTask } from '../store/tasks.ts';
import { forEachIntact } from '../store/unreadable.ts';
import { loadWorker, loadWorkers, workerWrites } from '../store/workers.ts';

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
      changeTask(db, orgId, loaded.task.task_id, [{ name: 'remove_pool' }], { actor: 'system', loaded }),
    );
  }
}

async function leavePool(db: Db, orgId: string, workerId: string, poolId: string): Promise<void> {
  for await (const _attempt of updateAttempts()) {
    const before = await loadWorker(db, orgId, workerId);
    if (before === null) return;
    const pool_ids = before.pool_ids.filter((id) => id !== poolId);
    const { guards, writes } = workerWrites(db, before, next(before, { pool_ids }, db.clock.now()));
    if (await commit(db.redis, guards, writes)) return;
  }
  throw new ContendedError('worker');
}
