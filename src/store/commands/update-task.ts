// Plans the update of a task's input, with what must follow in the same commit: pending offers that no longer fit are
// revoked, and the new pool exists.

import type { Command } from '../../state/tasks/command.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import { changesBetween, patched, type TaskPatch } from '../../state/tasks/patch.ts';
import { poolOf, stepsDue, type Task } from '../../state/tasks/task.ts';
import type { Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { poolGuards } from '../workers/pools.ts';
import type { Plan } from './change.ts';
import { revokeUnfitOffers } from './unfit-offers.ts';

/** The plan of an update; null when the patch changes nothing. */
export async function planUpdate(db: Db, task: Task, patch: TaskPatch): Promise<Plan | null> {
  const input = patched(task.input, patch);
  // The lifecycle refuses an update of a final task, also one that would change nothing.
  if (!isFinal(task.status) && changesBetween(task.input, input).length === 0) return null;
  const pool = input.requirements?.worker_pool_id ?? null;
  const guards: Guard[] = pool === null || pool === poolOf(task) ? [] : poolGuards(db, task.org_id, [pool]);
  const commands: Command[] = [{ name: 'update', patch }];
  const after = { ...task, input };
  after.step = stepsDue(after, db.clock.now());
  const revoked = await revokeUnfitOffers(db, task, after);
  return { commands: [...commands, ...revoked.commands], guards: [...guards, ...revoked.guards] };
}
