// Pending offers that no longer fit after a change of the task's input. They are revoked in the commit of the change.

import type { Task } from '../../state/tasks/task.ts';
import { mayAccept } from '../../state/workers/matching.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { nullIfBroken } from '../redis/unreadable.ts';
import { formerWorkersOf } from '../tasks/former-workers.ts';
import { loadWorker } from '../workers/workers.ts';
import type { Plan } from './change.ts';

/**
 * The commands that revoke pending offers whose workers may not accept the task as it is `after` the change, with guards
 * of the records that this depends on.
 */
export async function revokeIneligibleOffers(db: Db, task: Task, after: Task): Promise<Required<Plan>> {
  const plan: { [K in keyof Required<Plan>]: Required<Plan>[K][number][] } = { commands: [], guards: [] };
  const pending = task.offers.filter(({ status }) => status === 'pending');
  if (pending.length === 0) return plan;
  const former = await formerWorkersOf(db, after);
  plan.guards.push(...former.guards);
  for (const { worker_id } of pending) {
    // A removed worker's offer is revoked by the job of the removal.
    const worker = await nullIfBroken(db, () => loadWorker(db, task.org_id, worker_id));
    if (worker === null) continue;
    const key = orgKeysOf(db.prefix, task.org_id).worker(worker_id);
    plan.guards.push({ kind: 'version', key, version: worker.version });
    if (!mayAccept(worker, after) || former.has(worker_id)) plan.commands.push({ name: 'revoke', worker_id });
  }
  return plan;
}
