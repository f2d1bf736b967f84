// Jobs that run at once after a change: verification, turns of matching, steps of replays, and what removed pools and
// workers leave behind. A handler reads the records as they are now and commits only if they have not changed since.

import type { OutputSchemas } from '../output-schema/output-schemas.ts';
import type { Jobs, WorkerJob } from '../queues/catalogue.ts';
import type { AddJobs } from '../queues/queues.ts';
import type { Command } from '../state/tasks/command.ts';
import { poolOf, type Task } from '../state/tasks/task.ts';
import { mayAccept } from '../state/workers/matching.ts';
import { holders, type Worker } from '../state/workers/worker.ts';
import { changeTask, type Plan } from '../store/commands/change.ts';
import type { Db } from '../store/redis/connection.ts';
import { orgKeysOf } from '../store/redis/keys.ts';
import { forEachIntact } from '../store/redis/unreadable.ts';
import { loadTasks, loadWithEntries, type StoredTask } from '../store/tasks/tasks.ts';
import type { Requested } from '../store/workers/match-requests.ts';
import { loadWorker, releaseOrphanedReservation } from '../store/workers/workers.ts';
import type { RunnableJob } from './job-guard.ts';
import { poolOfTask, runMatchingTurn } from './matching.ts';
import { emptyPool } from './removed-pools.ts';
import { verify } from './verification.ts';
import { runReplayJob } from './webhooks/replays.ts';

const SYSTEM = { actor: 'system' };

/**
 * Runs a job of the `lifecycle` queue.
 * @param jobs takes the next turn of matching. @param job to put it off. @param token BullMQ's, of its lock.
 */
export async function runLifecycleJob(
  { db, jobs, schemas }: { db: Db; jobs: AddJobs; schemas: OutputSchemas },
  { name, data }: Jobs['lifecycle'],
  job: Pick<RunnableJob, 'moveToDelayed' | 'known'>,
  token: string | undefined,
): Promise<void> {
  switch (name) {
    case 'match':
      return runMatchingTurn(db, jobs, data, job.known as Requested[] | undefined);
    case 'worker':
      return reclaimFrom(db, data);
    case 'pool':
      return emptyPool(db, data.org_id, data.pool_id);
    case 'replay':
      return runReplayJob(db, data, job, token);
    case 'verify': {
      const { org_id, task_id } = data;
      const onward: Command[] = [{ name: 'verify' }, { name: 'complete' }];
      // The history belongs to the version that the commit checks.
      const { stored, entries } = await loadWithEntries(db, org_id, task_id);
      const read = stored === null ? {} : { loaded: stored, loadedHistory: entries };
      await changeTask(db, org_id, task_id, (task) => verify(db, schemas, task, onward), {
        ...SYSTEM,
        ...read,
      });
    }
  }
}

/** Releases the tasks that a removed worker left, and revokes offers that the worker may no longer accept. */
async function reclaimFrom(db: Db, data: WorkerJob): Promise<void> {
  const { org_id, worker_id, orphaned_tasks, eligibility_reduced } = data;
  await forEachIntact(db, orphaned_tasks, orgKeysOf(db.prefix, org_id).task, async (taskId) => {
    await changeTask(db, org_id, taskId, [{ name: 'remove_worker', worker_id }], SYSTEM);
    await releaseOrphanedReservation(db, org_id, worker_id, taskId);
  });
  if (eligibility_reduced !== true) return;
  const worker = await loadWorker(db, org_id, worker_id);
  if (worker !== null) await revokeOffers(db, worker);
}

/** Revokes offers that the worker may no longer accept, and those beyond a capacity that was reduced. */
async function revokeOffers(db: Db, worker: Worker): Promise<void> {
  const { org_id, worker_id, reservations, capacity } = worker;
  const held = (await loadTasks(db, org_id, reservations)).filter((one) => one !== null);
  const offered = held.filter(({ task }) => holders(task).get(worker_id) === 'offer');
  const lost = offered.filter(({ task }) => !mayAccept(worker, task));
  const kept = offered.filter(({ task }) => mayAccept(worker, task));
  const excess = Math.max(0, reservations.length - lost.length - capacity);
  const revoked = [...lost, ...kept.slice(Math.max(0, kept.length - excess))];
  const keyOf = ({ task }: StoredTask) => orgKeysOf(db.prefix, org_id).task(task.task_id);
  await forEachIntact(db, revoked, keyOf, async (stored) => {
    const { task } = stored;
    // The tasks of a removed pool are released by its own job, which gives that reason.
    if (poolOf(task) !== null && (await poolOfTask(db, task)) === null) return;
    await changeTask(db, org_id, task.task_id, (now) => revokeOffer(db, now, worker_id), {
      ...SYSTEM,
      loaded: stored,
    });
  });
}

/** Revokes one offer, unless the worker may accept it and has capacity for it after all. */
async function revokeOffer(db: Db, task: Task, worker_id: string): Promise<Plan | null> {
  const worker = await loadWorker(db, task.org_id, worker_id);
  if (worker === null || (mayAccept(worker, task) && worker.reservations.length <= worker.capacity))
    return null;
  const key = orgKeysOf(db.prefix, task.org_id).worker(worker_id);
  return {
    commands: [{ name: 'revoke', worker_id }],
    guards: [{ kind: 'version', key, version: worker.version }],
  };
}
