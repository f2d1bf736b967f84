// What follows at once from a change: verification, what is taken back from workers, and the start of matching. Each handler looks at the
// task as it is now, asks whether there is something to do, and does it by a commit that fails if the task has changed.

import type { Job } from 'bullmq';
import type { OutputSchemas } from '../output-schema/output-schemas.ts';
import type { CheckJob, MatchingJob, PoolJob, ReplayJob, WorkerJob } from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import type { Command } from '../state/tasks/command.ts';
import { poolOf, type Task } from '../state/tasks/task.ts';
import { mayAccept } from '../state/workers/matching.ts';
import { holders, type Worker } from '../state/workers/worker.ts';
import { changeTask, type Plan } from '../store/commands/change.ts';
import type { Db } from '../store/redis/connection.ts';
import { orgKeysOf } from '../store/redis/keys.ts';
import { forEachIntact } from '../store/redis/unreadable.ts';
import { loadTasks, type StoredTask } from '../store/tasks/tasks.ts';
import { loadWorker, releaseOrphanedReservation } from '../store/workers/workers.ts';
import { poolOfTask, requestMatching, runMatchingTurn } from './matching.ts';
import { emptyPool } from './pools.ts';
import { verify } from './verification.ts';
import { runReplayJob } from './webhooks/replays.ts';

const SYSTEM = { actor: 'system' };

/** Runs a job of the `lifecycle` queue. */
export async function runLifecycleJob(
  db: Db,
  queues: Queues,
  schemas: OutputSchemas,
  job: Job<CheckJob | MatchingJob | WorkerJob | PoolJob | ReplayJob>,
  token: string | undefined,
): Promise<void> {
  const { data } = job;
  if ('turn' in data) return runMatchingTurn(db, queues, data);
  if ('worker_id' in data) return reclaimFrom(db, queues, data);
  if ('pool_id' in data) return emptyPool(db, data.org_id, data.pool_id);
  if ('replay_id' in data) return runReplayJob(db, data, job, token);
  const { org_id, task_id, check } = data;
  // Only a process of an earlier version makes a job for each match.
  if (check.kind === 'match')
    return requestMatching(db, queues, org_id, [{ kind: 'task', task_id, pool: null }]);
  if (check.kind === 'verify') {
    const onward: Command[] = [{ name: 'verify' }, { name: 'complete' }];
    await changeTask(db, org_id, task_id, (task) => verify(db, schemas, task, onward), SYSTEM);
    return;
  }
  throw new Error(`lifecycle knows no question ${check.kind}`);
}

/** Takes back what a worker left behind, and the offers that they may not accept now. */
async function reclaimFrom(db: Db, queues: Queues, data: WorkerJob): Promise<void> {
  const { org_id, worker_id } = data;
  await forEachIntact(db, data.orphaned_tasks, orgKeysOf(db.prefix, org_id).task, async (taskId) => {
    await changeTask(db, org_id, taskId, [{ name: 'remove_worker', worker_id }], SYSTEM);
    await releaseOrphanedReservation(db, org_id, worker_id, taskId);
  });
  const worker = await loadWorker(db, org_id, worker_id);
  if (worker === null) return;
  if (data.eligibility_reduced === true || worker.availability !== 'available')
    await revokeOffers(db, worker);
  // A process of an earlier version has made this job alone for a worker who became ready.
  await requestMatching(db, queues, org_id, [{ kind: 'worker', worker_id }]);
}

/** Takes back what the worker may not accept any more, and what goes beyond a capacity that has become less. */
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
    // When the pool itself is gone, whoever empties it takes back all of its tasks, and says why.
    if (poolOf(task) !== null && (await poolOfTask(db, task)) === null) return;
    await changeTask(db, org_id, task.task_id, (now) => revokeOffer(db, now, worker_id), {
      ...SYSTEM,
      loaded: stored,
    });
  });
}

/** Takes one offer back, unless the worker may accept it and has capacity for it after all. */
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
