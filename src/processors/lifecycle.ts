// Advances tasks: matching, offering, verification; what else happens at once stands in files of its own. Each handler looks at the task as it is now, asks
// whether there is something to do, and does it by a commit that fails if somebody else was faster.

import type { Job } from 'bullmq';
import {
  type PoolJob,
  type QuestionJob,
  type ReplayJob,
  RetryLater,
  type WorkerJob,
} from '../queues/catalogue.ts';
import { mayAccept, offerLife } from '../state/matching.ts';
import { poolOf, type Task } from '../state/task.ts';
import { holders, isReady, type Pool, type Worker } from '../state/worker.ts';
import { changeTask } from '../store/change.ts';
import { newId } from '../store/ids.ts';
import { findWorkers, firstWaitingFor } from '../store/matching.ts';
import { loadPool } from '../store/pools.ts';
import type { Db } from '../store/redis.ts';
import { loadTask, loadTasks, type StoredTask } from '../store/tasks.ts';
import { Turns } from '../store/turns.ts';
import { loadWorker, settleLeft } from '../store/workers.ts';
import { emptyPool } from './pools.ts';
import { runReplayJob } from './replays.ts';

const SYSTEM = { actor: 'system' };
/** Most tasks one job hands out before it leaves the rest to the next. */
const ROUNDS = 100;
/** When the next job goes on, ms. */
const MORE = 20;

/** Runs a job of the `lifecycle` queue. */
export async function runLifecycleJob(
  db: Db,
  job: Job<QuestionJob | WorkerJob | PoolJob | ReplayJob>,
  token: string | undefined,
): Promise<void> {
  const { data } = job;
  if ('worker_id' in data) return matching.take(data.org_id, () => serveWorker(db, data));
  if ('pool_id' in data) return emptyPool(db, data.org_id, data.pool_id);
  if ('replay_id' in data) return runReplayJob(db, data, job, token);
  const { org_id, task_id, question } = data;
  if (question.kind === 'match') return matchTask(db, org_id, task_id);
  if (question.kind === 'verify') {
    await changeTask(db, org_id, task_id, [{ name: 'verify' }, { name: 'complete' }], SYSTEM);
    return;
  }
  throw new Error(`lifecycle knows no question ${question.kind}`);
}

const matching = new Turns();

/** Finds the task a worker, in turn with the org's other matching. */
export function matchTask(db: Db, orgId: string, taskId: string): Promise<void> {
  return matching.take(orgId, () => match(db, orgId, taskId));
}

/**
 * Finds the task a worker, unless none is there for it. The worker found may have a better claim to another
 * task that waits; that one goes first, so the order of the queue holds however jobs are run.
 */
async function match(db: Db, orgId: string, taskId: string): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    const stored = await loadTask(db, orgId, taskId);
    if (stored?.task.status !== 'queued') return;
    const pool = await poolOfTask(db, stored.task);
    const workers = await findWorkers(db, stored.task, offersAtOnce(pool));
    const [best] = workers;
    if (best === undefined) return;
    const first = await firstWaitingFor(db, best, stored);
    if (first === null || first.task.task_id === taskId) await offer(db, stored, pool, workers);
    else await offerToBest(db, first);
  }
  throw new RetryLater(MORE, 'more tasks came first than one job hands out');
}

/** Takes back the offers that are not for the worker any more; gives one who is ready what waits for them. */
async function serveWorker(db: Db, data: WorkerJob): Promise<void> {
  const { org_id, worker_id } = data;
  for (const taskId of data.left) {
    await changeTask(db, org_id, taskId, [{ name: 'remove_worker', worker_id }], SYSTEM);
    await settleLeft(db, org_id, worker_id, taskId);
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    const worker = await loadWorker(db, org_id, worker_id);
    if (worker === null) return;
    if (round === 0 && (data.narrowed === true || worker.availability !== 'available'))
      await revokeOffers(db, worker);
    if (!isReady(worker)) return;
    const first = await firstWaitingFor(db, worker);
    if (first === null) return;
    await offerToBest(db, first);
  }
  throw new RetryLater(MORE, 'more tasks wait than one job hands out');
}

/** Takes back what the worker may not accept any more, and what goes beyond a capacity that has become less. */
async function revokeOffers(db: Db, worker: Worker): Promise<void> {
  const { org_id, worker_id, holding, capacity } = worker;
  const held = (await loadTasks(db, org_id, holding)).filter((one) => one !== null);
  const offered = held.filter(({ task }) => holders(task).get(worker_id) === 'offer');
  const lost = offered.filter(({ task }) => !mayAccept(worker, task));
  const kept = offered.filter(({ task }) => mayAccept(worker, task));
  const excess = Math.max(0, holding.length - lost.length - capacity);
  for (const stored of [...lost, ...kept.slice(Math.max(0, kept.length - excess))]) {
    const { task } = stored;
    // When the pool itself is gone, whoever empties it takes back all of its tasks, and says why.
    if (poolOf(task) !== null && (await poolOfTask(db, task)) === null) continue;
    await changeTask(db, org_id, task.task_id, [{ name: 'revoke', worker_id }], {
      ...SYSTEM,
      loaded: stored,
    });
  }
}

/** How many workers a task of the pool is offered to at once: one, or in a broadcast pool several. */
function offersAtOnce(pool: Pool | null): number {
  return pool?.offer_mode === 'broadcast' ? pool.broadcast_size : 1;
}

async function poolOfTask(db: Db, task: Task): Promise<Pool | null> {
  const id = poolOf(task);
  return id === null ? null : loadPool(db, task.org_id, id);
}

async function offerToBest(db: Db, stored: StoredTask): Promise<void> {
  const pool = await poolOfTask(db, stored.task);
  await offer(db, stored, pool, await findWorkers(db, stored.task, offersAtOnce(pool)));
}

/** Matches a queued task to these workers, best first, and offers it to each of them. */
async function offer(
  db: Db,
  stored: StoredTask,
  pool: Pool | null,
  workers: readonly Worker[],
): Promise<void> {
  const { task } = stored;
  if (workers.length === 0) return;
  const now = db.clock.now();
  const expires_at = now + offerLife(task.input.sla.urgency, pool?.offer_ttl_seconds ?? null);
  const offers = workers.map(({ worker_id }) => ({ offer_id: newId(now), worker_id, expires_at }));
  // Refused when the task moved on or a worker was taken meanwhile; whoever asked looks again.
  await changeTask(
    db,
    task.org_id,
    task.task_id,
    [
      { name: 'match', worker_ids: workers.map((worker) => worker.worker_id) },
      { name: 'offer', offers },
    ],
    { ...SYSTEM, loaded: stored, loadedWorkers: workers },
  );
}
