// Matching takes turns between orgs: a job serves a bounded number of an org's match requests, and the rest get another
// job behind those of other orgs. So a thousand tasks of one org delay another org by one turn at most.

import { SpanKind } from '@opentelemetry/api';
import { UnrecoverableError } from 'bullmq';
import type { MatchingJob } from '../queues/catalogue.ts';
import { matchingJob } from '../queues/new-jobs.ts';
import type { MatchRequest } from '../state/outbox.ts';
import { poolOf, type Task } from '../state/tasks/task.ts';
import { isWaiting } from '../state/tasks/waiting.ts';
import { offerTtlMs } from '../state/workers/matching.ts';
import { isReady, type Pool, type Worker } from '../state/workers/worker.ts';
import { changeTask, type Plan } from '../store/commands/change.ts';
import { isSuspended, notSuspended } from '../store/identity/suspension.ts';
import type { Db } from '../store/redis/connection.ts';
import { newId } from '../store/redis/ids.ts';
import { orgKeysOf } from '../store/redis/keys.ts';
import { concernsOneItem, nullIfBroken, reportFailed } from '../store/redis/unreadable.ts';
import { loadTask, type StoredTask } from '../store/tasks/tasks.ts';
import { findWorkers, firstWaitingFor } from '../store/workers/candidates.ts';
import { endTurn, type Requested, requestMatches, takeTurn } from '../store/workers/match-requests.ts';
import { loadPool } from '../store/workers/pools.ts';
import { loadWorker } from '../store/workers/workers.ts';
import { inSpan } from '../tracing/tracing.ts';
import type { AddJobs } from './local-jobs.ts';

/** Steps that a turn has left; a step looks for a worker or a task and makes at most one round of offers. */
export interface Budget {
  left: number;
}

/** Steps of one turn: a few tens of milliseconds. */
export const TURN_BUDGET = 25;
/** Steps of a match outside of a turn. */
const SINGLE_MATCH_BUDGET = 100;

/** Requests matches, and adds the job of the turn that serves them. */
export async function requestMatching(
  db: Db,
  jobs: AddJobs,
  orgId: string,
  requests: readonly MatchRequest[],
): Promise<void> {
  const turn = await requestMatches(db, orgId, requests);
  if (turn !== null) await jobs.add([matchingJob(orgId, turn)]);
}

/**
 * Runs the job of a turn. If the turn is over, it only makes sure that the current turn has a job.
 * @throws UnrecoverableError when a request failed on its own. The others have been served, and the sweeper requests the
 *   match again while the task waits.
 */
export async function runMatchingTurn(db: Db, queues: AddJobs, { org_id, turn }: MatchingJob): Promise<void> {
  const taken = await takeTurn(db, org_id, turn, TURN_BUDGET);
  if (taken === null) return;
  if (taken.current !== turn) return queues.add([matchingJob(org_id, taken.current)]);
  const budget: Budget = { left: TURN_BUDGET };
  const done: Requested[] = [];
  const failures: unknown[] = [];
  for (const request of taken.requests) {
    if (budget.left <= 0) break;
    try {
      if (await runRequest(db, org_id, request, budget)) done.push(request);
    } catch (error) {
      if (!concernsOneItem(error)) throw error;
      const keys = orgKeysOf(db.prefix, org_id);
      reportFailed(db, request.kind === 'task' ? keys.task(request.id) : keys.worker(request.id), error);
      failures.push(`${request.kind} ${request.id}: ${error}`);
      done.push(request);
    }
  }
  const next = await endTurn(db, org_id, turn, done);
  if (next !== null) await queues.add([matchingJob(org_id, next)]);
  if (failures.length > 0) throw new UnrecoverableError(failures.join('; '));
}

/** Serves a request, in the trace of what requested it. */
function runRequest(db: Db, orgId: string, request: Requested, budget: Budget): Promise<boolean> {
  const { kind, id, trace } = request;
  const attributes = { org_id: orgId, [`${kind}_id`]: id };
  return inSpan(`match ${kind}`, { kind: SpanKind.INTERNAL, attributes, parent: trace }, () =>
    kind === 'task' ? matchTask(db, orgId, id, budget) : matchWorker(db, orgId, id, budget),
  );
}

/**
 * Finds a worker for the task. If the found worker has an earlier task to do, offers that one instead,
 * so the order of the queue holds whichever match is requested.
 * @returns false when the budget did not suffice, or the org was suspended.
 */
export async function matchTask(
  db: Db,
  orgId: string,
  taskId: string,
  budget: Budget = { left: SINGLE_MATCH_BUDGET },
): Promise<boolean> {
  while (budget.left > 0) {
    const stored = await loadTask(db, orgId, taskId);
    if (stored === null || !isWaiting(stored.task)) return true;
    budget.left -= 1;
    const pool = await poolOfTask(db, stored.task);
    const workers = await findWorkers(db, stored.task, offersAtOnce(pool));
    const [best] = workers;
    if (best === undefined) return true;
    const firstTask = await firstWaitingFor(db, best, stored);
    const isFirst = firstTask === null || firstTask.task.task_id === taskId;
    if (!(await (isFirst ? offer(db, stored, pool, workers) : offerToBest(db, firstTask)))) return false;
  }
  return false;
}

/** Offers waiting tasks to a ready worker. @returns false when the budget did not suffice, or the org was suspended. */
async function matchWorker(db: Db, orgId: string, workerId: string, budget: Budget): Promise<boolean> {
  while (budget.left > 0) {
    const worker = await loadWorker(db, orgId, workerId);
    if (worker === null || !isReady(worker)) return true;
    budget.left -= 1;
    const firstTask = await firstWaitingFor(db, worker);
    if (firstTask === null) return true;
    if (!(await offerToBest(db, firstTask))) return false;
  }
  return false;
}

/** How many workers a task of the pool is offered to at once: one, or in a broadcast pool several. */
function offersAtOnce(pool: Pool | null): number {
  return pool?.offer_mode === 'broadcast' ? pool.broadcast_size : 1;
}

/** The pool that a task requires; null when it requires none or the pool was removed. */
export async function poolOfTask(db: Db, task: Task): Promise<Pool | null> {
  const id = poolOf(task);
  // A damaged record of a pool is treated as a pool with default settings.
  return id === null ? null : nullIfBroken(db, () => loadPool(db, task.org_id, id));
}

async function offerToBest(db: Db, stored: StoredTask): Promise<boolean> {
  const pool = await poolOfTask(db, stored.task);
  return offer(db, stored, pool, await findWorkers(db, stored.task, offersAtOnce(pool)));
}

/**
 * Matches a queued task to these workers, best first, and offers it to each of them.
 * @returns false when the org is suspended.
 */
async function offer(
  db: Db,
  stored: StoredTask,
  pool: Pool | null,
  workers: readonly Worker[],
): Promise<boolean> {
  const { task } = stored;
  if (workers.length === 0) return true;
  const now = db.clock.now();
  const expires_at = now + offerTtlMs(task.input.sla.urgency, pool?.offer_ttl_seconds ?? null);
  const offers = workers.map(({ worker_id }) => ({ offer_id: newId(now), worker_id, expires_at }));
  const plan: Plan = {
    commands: [
      { name: 'match', worker_ids: workers.map((worker) => worker.worker_id) },
      { name: 'offer', offers },
    ],
    guards: [notSuspended(db, task.org_id)],
  };
  let [isRetry, mayOffer] = [false, true];
  const choose = async () => {
    // Looked up only when the commit failed, which its guard may have caused.
    if (isRetry) mayOffer = !(await isSuspended(db, task.org_id));
    isRetry = true;
    return mayOffer ? plan : null;
  };
  // Refused when the task or a worker has changed meanwhile; the caller tries again.
  const loaded = { loaded: stored, loadedWorkers: workers };
  await changeTask(db, task.org_id, task.task_id, choose, { actor: 'system', ...loaded });
  return mayOffer;
}
