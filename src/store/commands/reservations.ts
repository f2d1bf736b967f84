// The workers whose reservations change with tasks: whether they may have what they get, and how they change.

import { isExcluded } from '../../state/tasks/exclusion.ts';
import { isOfWorker } from '../../state/tasks/offer.ts';
import type { Task } from '../../state/tasks/task.ts';
import { isEligible, mayAccept } from '../../state/workers/matching.ts';
import { applyEffect, type Effect, effectsOf, holders, type Worker } from '../../state/workers/worker.ts';
import type { Change } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { nullIfBroken } from '../redis/unreadable.ts';
import { formerWorkersOf } from '../tasks/former-workers.ts';
import { loadWorker, workerWrites } from '../workers/workers.ts';
import type { Decided } from './copies.ts';

/** Why the workers cannot change so. */
export interface Refused {
  /**
   * `worker_excluded`: the worker is excluded from the task but still has a pending offer. The caller must revoke it, or it
   * stays until it expires.
   */
  kind: 'worker_busy' | 'worker_ineligible' | 'worker_excluded' | 'rework_needs_other_worker';
}

/** The changes of the workers whose reservations change, or why they cannot be made. */
export async function reserve(
  db: Db,
  orgId: string,
  decided: readonly Decided[],
  loadedWorkers: readonly Worker[],
): Promise<{ changes: Change[]; workerIds: ReadonlySet<string> } | Refused> {
  const effects = decided.flatMap((change) =>
    [...effectsOf(change.before?.task ?? null, change.task)].map(([id, effect]) => ({ id, effect, change })),
  );
  const workerIds = new Set(effects.map((one) => one.id));
  const loaded = new Map<string, Worker | null>(loadedWorkers.map((worker) => [worker.worker_id, worker]));
  const toLoad = [...workerIds].filter((id) => !loaded.has(id));
  const given = decided.map((change) => ({ change, ids: recipients(change) }));
  const [exclusions] = await Promise.all([
    Promise.all(given.map(({ change, ids }) => (ids.length === 0 ? null : formerWorkersOf(db, change.task)))),
    // A damaged record of a worker does not block their tasks; it is treated as that of a removed worker.
    ...toLoad.map(async (id) => {
      loaded.set(id, await nullIfBroken(db, () => loadWorker(db, orgId, id)));
    }),
  ]);
  for (const [at, { change, ids }] of given.entries())
    for (const id of ids)
      if (isExcluded({ worker_id: id }, change.task) || exclusions[at]?.has(id) === true)
        return { kind: refusalOf(change, id) };
  const after = new Map(loaded);
  for (const { id, effect, change } of effects) {
    const outcome = reserveFor(after.get(id) ?? null, effect, change);
    if (outcome === null) continue;
    if ('kind' in outcome) return outcome;
    after.set(id, outcome);
  }
  const changes = [...workerIds].flatMap((id) => {
    const [was, is] = [loaded.get(id) ?? null, after.get(id) ?? null];
    return is === was ? [] : [workerWrites(db, was, is)];
  });
  const guards = exclusions.flatMap((one) => one?.guards ?? []);
  return { changes: [...changes, { guards, writes: [] }], workerIds };
}

/** Whether the change may concern a worker. That of a new task does not: nobody has it, and nobody gets it yet. */
export function mayConcernWorker({ before, task }: Decided): boolean {
  return before !== null || task.offers.length > 0 || task.assignment !== null;
}

/** Workers who get a new offer or the assignment in this change, including those who already held a reservation. */
function recipients({ before, task }: Decided): string[] {
  const had = before === null ? null : offersHeld(before.task);
  return [...offersHeld(task)].filter(([id, held]) => had?.get(id) !== held).map(([id]) => id);
}

/** What the workers hold of the task: worker id → kind of the reservation and the id of its offer. */
function offersHeld(task: Task): Map<string, string> {
  const offerOf = (id: string) => task.offers.find((one) => one.worker_id === id && one.status === 'pending');
  return new Map(
    [...holders(task)].map(([id, kind]) => {
      const { offer_id = '' } = (kind === 'work' ? task.assignment : offerOf(id)) ?? {};
      return [id, `${kind} ${offer_id}`];
    }),
  );
}

/** Why an excluded worker cannot get the task. */
function refusalOf({ before, task }: Decided, workerId: string): Refused['kind'] {
  if (before?.task.status === 'submitted' && task.status === 'started') return 'rework_needs_other_worker';
  const accepted = task.assignment?.offer_id;
  const isAccept = before?.task.offers.some(
    (one) => one.worker_id === workerId && one.status === 'pending' && one.offer_id === accepted,
  );
  return isAccept === true ? 'worker_excluded' : 'worker_busy';
}

/** The worker after an effect of a task's change; null when it does not concern them; or why it cannot be. */
function reserveFor(
  worker: Worker | null,
  effect: Effect,
  { before, task }: Decided,
): Worker | Refused | null {
  const isRework = before?.task.status === 'submitted' && task.status === 'started';
  const ineligible: Refused = { kind: isRework ? 'rework_needs_other_worker' : 'worker_busy' };
  if (worker === null) return effect.reserves === undefined ? null : ineligible;
  const { assignment = null } = before?.task ?? {};
  // The assignment belongs to an earlier worker with the same id, so the current worker's slots do not change.
  if (
    effect.reserves !== 'offer' &&
    assignment?.worker_id === worker.worker_id &&
    !isOfWorker(assignment, worker)
  )
    return effect.reserves === 'work' ? ineligible : null;
  // Since they were found, the worker may have lost a skill or declined this task.
  if (effect.reserves === 'offer' && effect.forced !== true && !isEligible(worker, task, task.updated_at))
    return ineligible;
  // The worker no longer qualifies. A background job will revoke the offer; until then accepting it is refused.
  if (effect.response === 'accepted' && !mayAccept(worker, before?.task ?? task))
    return { kind: 'worker_ineligible' };
  const after = applyEffect(worker, task.task_id, effect, task.updated_at);
  return after ?? ineligible;
}
