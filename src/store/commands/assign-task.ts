// Plans how a supervisor gives a task to a named worker: what keeps the worker from it, or the commands, which first take the
// task from those who have it. The record of the worker is guarded, so the judgement holds in the commit.

import type { Command } from '../../state/tasks/command.ts';
import type { AssignMode } from '../../state/tasks/offer.ts';
import type { Task } from '../../state/tasks/task.ts';
import { poolOf } from '../../state/tasks/task.ts';
import { type Obstacle, obstaclesOf } from '../../state/workers/explain.ts';
import { offerTtlMs } from '../../state/workers/matching.ts';
import type { Worker } from '../../state/workers/worker.ts';
import type { Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { newId } from '../redis/ids.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { nullIfBroken } from '../redis/unreadable.ts';
import { formerWorkersOf } from '../tasks/former-workers.ts';
import { loadPool } from '../workers/pools.ts';
import type { Plan } from './change.ts';

export interface AssignmentWish {
  mode: AssignMode;
  /** Passes over all obstacles but exclusions and the worker's capacity. */
  force: boolean;
}

/** The plan, or what keeps the worker from the task. */
export async function planAssignment(
  db: Db,
  task: Task,
  worker: Worker,
  { mode, force }: AssignmentWish,
): Promise<Plan | { obstacles: Obstacle[] }> {
  const now = db.clock.now();
  const { worker_id, version, incarnation } = worker;
  const assign: Command = { name: 'assign', worker_id, mode, forced: force };
  const isAtWork = task.status === 'accepted' || task.status === 'started';
  const isHeld = task.status === 'matched' || task.status === 'offered' || isAtWork;
  // The lifecycle refuses it.
  if (!isHeld && task.status !== 'queued') return { commands: [assign] };
  const former = await formerWorkersOf(db, task);
  const obstacles = obstaclesOf(worker, task, former, now).filter(({ reason }) => !force || isFirm(reason));
  if (obstacles.length > 0) return { obstacles };
  const pool_id = poolOf(task);
  const pool = pool_id === null ? null : await nullIfBroken(db, () => loadPool(db, task.org_id, pool_id));
  const expires_at = now + offerTtlMs(task.input.sla.urgency, pool?.offer_ttl_seconds ?? null);
  const offer_id = newId(now);
  const offer = { offer_id, worker_id, expires_at, ...(force && { forced: true }) };
  const commands: Command[] = [
    ...(isHeld ? [{ name: 'requeue' as const, reason: 'assigned', is_takeover: true }] : []),
    assign,
    { name: 'match', worker_ids: [worker_id] },
    { name: 'offer', offers: [offer] },
  ];
  if (mode === 'assign')
    commands.push({
      name: 'accept',
      offer_id,
      worker_id,
      ...(incarnation !== undefined && { incarnation }),
    });
  const key = orgKeysOf(db.prefix, task.org_id).worker(worker_id);
  const guards: Guard[] = [{ kind: 'version', key, version, incarnation }];
  return { commands, guards };
}

/** Whether no force passes over this obstacle. */
function isFirm(reason: Obstacle['reason']): boolean {
  return reason === 'at_capacity' || reason === 'excluded_worker_ids' || reason === 'excluded_tasks';
}
