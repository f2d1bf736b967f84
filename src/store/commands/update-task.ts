// Plans the update of a task's input, with what must follow in the same commit: pending offers that no longer fit are
// revoked, and the new pool exists.

import { maySeePool } from '../../state/access/permission.ts';
import type { Command } from '../../state/tasks/command.ts';
import { exclusionErrors } from '../../state/tasks/exclusion.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import { changesBetween, MAX_METADATA, patched, type TaskPatch } from '../../state/tasks/patch.ts';
import { stepsDue } from '../../state/tasks/relaxation.ts';
import { stepErrors } from '../../state/tasks/relaxation-validation.ts';
import { dueAt, poolOf, startsAt, type Task } from '../../state/tasks/task.ts';
import type { FieldError } from '../../state/text/field-error.ts';
import type { Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { loadPool, poolGuards } from '../workers/pools.ts';
import type { Plan } from './change.ts';
import { revokeIneligibleOffers } from './ineligible-offers.ts';
import { DUE_TOO_EARLY, NO_POOL, TARGET_TOO_LATE, type TaskProblem } from './refusals.ts';

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
  const revoked = await revokeIneligibleOffers(db, task, after);
  return { commands: [...commands, ...revoked.commands], guards: [...guards, ...revoked.guards] };
}

/**
 * Why a credential may not patch the task; null when it may. The task as it would be keeps the rules of a new one, and the
 * credential sees it before and after.
 * @param pools of the credential.
 */
export async function patchProblem(
  db: Db,
  task: Task,
  patch: TaskPatch,
  pools: readonly string[],
): Promise<TaskProblem | null> {
  if (!maySeePool({ pools }, poolOf(task))) return { code: 'not_found', message: 'There is no such task.' };
  const after = { ...task, input: patched(task.input, patch) };
  const { requirements, metadata } = after.input;
  const pool = requirements?.worker_pool_id ?? null;
  if (!maySeePool({ pools }, pool))
    return { code: 'pool_forbidden', message: 'The key may move tasks only to its own pools.' };
  const errors: FieldError[] =
    patch.requirements === undefined
      ? []
      : [...stepErrors(requirements), ...exclusionErrors(requirements, task.task_id)];
  const isMoved = pool !== null && pool !== poolOf(task);
  if (isMoved && (await loadPool(db, task.org_id, pool)) === null) errors.push(NO_POOL);
  if (patch.sla?.deadline !== undefined && (dueAt(after, 'deadline') ?? Infinity) <= startsAt(task))
    errors.push(DUE_TOO_EARLY);
  if (
    typeof patch.sla?.target_latency_seconds === 'number' &&
    (dueAt(after, 'target_latency') ?? 0) > (dueAt(after, 'deadline') ?? Infinity)
  )
    errors.push(TARGET_TOO_LATE);
  if (patch.sla?.deadline === null && task.input.sla.on_deadline?.action === 'complete')
    errors.push({ pointer: '/sla/deadline', message: 'is required by sla.on_deadline' });
  if (Object.keys(metadata ?? {}).length > MAX_METADATA)
    errors.push({ pointer: '/metadata', message: `must have at most ${MAX_METADATA} members` });
  const message = errors.map((one) => `${one.pointer}: ${one.message}`).join('; ');
  return errors.length === 0 ? null : { code: 'validation_failed', message, errors };
}
