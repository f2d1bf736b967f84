// Why a task is not matched, from what lies in Redis: goes over all workers of the org and counts who stands
// before it in the line. For people who ask, not for matching itself: it looks at everybody.

import type { Task } from '../../state/tasks/task.ts';
import { Explainer, type Explanation } from '../../state/workers/explain.ts';
import { matchingQueueOf, qualifies, queueMember } from '../../state/workers/matching.ts';
import type { Worker } from '../../state/workers/worker.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { memberId, scan } from '../redis/lists.ts';
import { allMatchingQueues } from './matching-queues.ts';
import { loadWorkers } from './workers.ts';

/** The most workers that are looked at. */
const CONSIDERED_MOST = 50_000;

/** What the one who asks may see. */
export interface Sight {
  worker(worker: Worker): boolean;
  /** Whether tasks of this pool (null: of none). */
  pool(pool: string | null): boolean;
}

export interface QueuePosition {
  /** 1 for the task that goes next, among all that wait for the same workers. */
  position: number;
  /** How many wait with the very same requirements. */
  same_requirements: number;
}

/** Explains how a task, which need not be there, would be matched now. */
export async function explainMatch(db: Db, task: Task, sight: Sight): Promise<Explanation> {
  const { requirements } = matchingQueueOf(task);
  const explainer = new Explainer(requirements, task.declines, db.clock.now());
  const index = orgKeysOf(db.prefix, task.org_id).index('workers');
  let considered = 0;
  const range = { order: 'asc', after: null, from: null, to: null } as const;
  for await (const members of scan(db, [index], range)) {
    const workers = await loadWorkers(db, task.org_id, members.map(memberId));
    explainer.consider(workers.filter((one) => one !== null).filter(sight.worker));
    considered += members.length;
    if (considered >= CONSIDERED_MOST) break;
  }
  return explainer.result();
}

/** Where the task stands, or would stand, among all tasks that one of `workers` could do instead. */
export async function placeInQueue(
  db: Db,
  task: Task,
  workers: readonly Worker[],
  sight: Sight,
): Promise<QueuePosition> {
  const keys = orgKeysOf(db.prefix, task.org_id);
  const mine = matchingQueueOf(task);
  const place = queueMember(task);
  const rivals = (await allMatchingQueues(db, task.org_id)).flatMap(({ id, requirements: wanted }) => {
    const sees = sight.pool(wanted.worker_pool_id ?? null);
    return id !== mine.id && sees && workers.some((one) => qualifies(one, wanted)) ? [id] : [];
  });
  const [same_requirements, ...counts] = await Promise.all([
    db.redis.zcard(keys.matchingQueue(mine.id)),
    ...[mine.id, ...rivals].map((id) => db.redis.zlexcount(keys.matchingQueue(id), '-', `(${place}`)),
  ]);
  return { position: 1 + counts.reduce((sum, one) => sum + one, 0), same_requirements };
}
