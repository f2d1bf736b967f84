// Explains why a task is not matched: examines all workers of the org and determines the task's queue position. Serves
// API requests only; matching itself never examines all workers.

import type { Task } from '../../state/tasks/task.ts';
import { Explainer, type Explanation } from '../../state/workers/explain.ts';
import { matchingQueueOf, qualifies, queueMember } from '../../state/workers/matching.ts';
import type { Worker } from '../../state/workers/worker.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { memberId, scan } from '../redis/lists.ts';
import { formerWorkersOf } from '../tasks/former-workers.ts';
import { allMatchingQueues } from './matching-queues.ts';
import { loadWorkers } from './workers.ts';

/** Most workers that are examined. */
const MAX_CONSIDERED = 50_000;

/** What the caller may see. */
export interface Visibility {
  /** Whether the caller may see the worker. */
  worker(worker: Worker): boolean;
  /** Whether the caller may see tasks of this pool; null: tasks without a pool. */
  pool(pool: string | null): boolean;
}

export interface QueuePosition {
  /** Position among all tasks that compete for the same workers; 1: offered next. */
  position: number;
  /** Number of waiting tasks with the same requirements. */
  same_requirements: number;
}

/** Explains how a task, which need not be stored, would be matched now. */
export async function explainMatch(db: Db, task: Task, visible: Visibility): Promise<Explanation> {
  const explainer = new Explainer(task, await formerWorkersOf(db, task), db.clock.now());
  const index = orgKeysOf(db.prefix, task.org_id).index('workers');
  let considered = 0;
  const range = { order: 'asc', after: null, from: null, to: null } as const;
  for await (const members of scan(db, [index], range)) {
    const workers = await loadWorkers(db, task.org_id, members.map(memberId));
    explainer.consider(workers.filter((one) => one !== null).filter(visible.worker));
    considered += members.length;
    if (considered >= MAX_CONSIDERED) break;
  }
  return explainer.result();
}

/** The task's position, or that which it would have, among all tasks that one of `workers` is qualified for. */
export async function queuePosition(
  db: Db,
  task: Task,
  workers: readonly Worker[],
  visible: Visibility,
): Promise<QueuePosition> {
  const keys = orgKeysOf(db.prefix, task.org_id);
  const mine = matchingQueueOf(task);
  const member = queueMember(task);
  const competing = (await allMatchingQueues(db, task.org_id)).flatMap(({ id, requirements: wanted }) => {
    const isVisible = visible.pool(wanted.worker_pool_id ?? null);
    return id !== mine.id && isVisible && workers.some((one) => qualifies(one, wanted)) ? [id] : [];
  });
  const rivals = new Set(competing);
  const [same_requirements, ...counts] = await Promise.all([
    db.redis.zcard(keys.matchingQueue(mine.id)),
    ...[mine.id, ...rivals].map((id) => db.redis.zlexcount(keys.matchingQueue(id), '-', `(${member}`)),
  ]);
  return { position: 1 + counts.reduce((sum, one) => sum + one, 0), same_requirements };
}
