// Matching takes turns between orgs: a job serves a bounded number of an org's match requests, and the rest get another
// job behind those of other orgs. So a thousand tasks of one org delay another org by one turn at most.

import { SpanKind } from '@opentelemetry/api';
import { UnrecoverableError } from 'bullmq';
import type { MatchingJob, NewJob } from '../queues/catalogue.ts';
import { matchingJob } from '../queues/new-jobs.ts';
import type { AddJobs } from '../queues/queues.ts';
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
import { findWorkers, firstWaitingFor, readWaiting } from '../store/workers/candidates.ts';
import {
  endTurn,
  type Requested,
  requestMatches,
  type Turn,
  takeTurn,
} from '../store/workers/match-requests.ts';
import { loadPool } from '../store/workers/pools.ts';
import { loadWorker } from '../store/workers/workers.ts';
import { inSpan } from '../tracing/tracing.ts';

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
  const turn = await requestMatches(db, orgId, requests, TURN_BUDGET);
  if (turn !== null) await jobs.add([turnJob(orgId, turn)]);
}

/** The job of a turn. The process that began the turn knows its requests. */
function turnJob(orgId: string, { turn, requests }: Turn): NewJob {
  return { ...matchingJob(orgId, turn), ...(requests.length > 0 && { known: requests }) };
}

/**
 * Runs the job of a turn. If the turn is over, it only makes sure that the current turn has a job.
 * @param known the requests of the turn, when this process has just begun it
 * @throws UnrecoverableError when a request failed on its own. The others have been served, and the sweeper requests the
 *   match again while the task waits.
 */
export async function runMatchingTurn(
  db: Db,
  jobs: AddJobs,
  { org_id, turn }: MatchingJob,
  known?: Requested[],
): Promise<void> {
  const begun =
    known === undefined ? await takeTurn(db, org_id, turn, TURN_BUDGET) : { turn, requests: known };
  if (begun === null) return;
  if (begun.turn !== turn) return jobs.add([turnJob(org_id, begun)]);
  const budget: Budget = { left: TURN_BUDGET };
  const done: Requested[] = [];
  const failures: unknown[] = [];
  const ahead = readAhead(db, org_id, begun.requests);
  for (const request of begun.requests) {
    if (budget.left <= 0) break;
    try {
      if (await runRequest(db, org_id, request, budget, ahead)) done.push(request);
    } catch (error) {
      if (!concernsOneItem(error)) throw error;
      const keys = orgKeysOf(db.prefix, org_id);
      reportFailed(db, request.kind === 'task' ? keys.task(request.id) : keys.worker(request.id), error);
      failures.push(`${request.kind} ${request.id}: ${error}`);
      done.push(request);
    }
  }
  const next = await endTurn(db, org_id, turn, done, TURN_BUDGET);
  if (next !== null) await jobs.add([turnJob(org_id, next)]);
  if (failures.length > 0) throw new UnrecoverableError(failures.join('; '));
}

/** What a turn has read of its requests, in one round trip. What has changed since is refused by the guards of commits. */
interface ReadAhead {
  tasks: Map<string, Promise<StoredTask | null>>;
  workers: Map<string, Promise<Worker | null>>;
  pools: Map<string, Promise<Pool | null>>;
}

function readAhead(db: Db, orgId: string, requests: readonly Requested[]): ReadAhead {
  const ahead = nothingRead();
  for (const { kind, id, pool } of requests) {
    if (kind === 'worker') ahead.workers.set(id, early(loadWorker(db, orgId, id)));
    else ahead.tasks.set(id, early(loadTask(db, orgId, id)));
    if (pool !== undefined) void loadPoolOnce(db, orgId, pool, ahead);
  }
  return ahead;
}

function nothingRead(): ReadAhead {
  return { tasks: new Map(), workers: new Map(), pools: new Map() };
}

/** A result that is awaited later, or never. */
function early<T>(result: Promise<T>): Promise<T> {
  result.catch(() => undefined);
  return result;
}

/** What was read ahead, if it was; it is used once. */
function taken<T>(read: Map<string, Promise<T>>, id: string): Promise<T> | undefined {
  const result = read.get(id);
  read.delete(id);
  return result;
}

/** Serves a request, in the trace of what requested it. */
function runRequest(
  db: Db,
  orgId: string,
  request: Requested,
  budget: Budget,
  ahead: ReadAhead,
): Promise<boolean> {
  const { kind, id, trace } = request;
  const attributes = { org_id: orgId, [`${kind}_id`]: id };
  return inSpan(`match ${kind}`, { kind: SpanKind.INTERNAL, attributes, parent: trace }, () =>
    kind === 'task' ? matchTask(db, orgId, id, budget, ahead) : matchWorker(db, orgId, id, budget, ahead),
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
  ahead = nothingRead(),
): Promise<boolean> {
  while (budget.left > 0) {
    const stored = await (taken(ahead.tasks, taskId) ?? loadTask(db, orgId, taskId));
    if (stored === null || !isWaiting(stored.task)) return true;
    budget.left -= 1;
    const pool = await poolOfTask(db, stored.task, ahead);
    const [workers, waiting] = await Promise.all([
      findWorkers(db, stored.task, offersAtOnce(pool)),
      readWaiting(db, stored),
    ]);
    const [best] = workers;
    if (best === undefined) return true;
    const firstTask = await firstWaitingFor(db, best, waiting);
    const isFirst = firstTask === null || firstTask.task.task_id === taskId;
    const outcome = await (isFirst ? offer(db, stored, pool, workers) : offerToBest(db, firstTask, ahead));
    if (outcome === 'suspended') return false;
    if (isFirst && outcome === 'offered') return true;
  }
  return false;
}

/** Offers waiting tasks to a ready worker. @returns false when the budget did not suffice, or the org was suspended. */
async function matchWorker(
  db: Db,
  orgId: string,
  workerId: string,
  budget: Budget,
  ahead: ReadAhead,
): Promise<boolean> {
  while (budget.left > 0) {
    const worker = await (taken(ahead.workers, workerId) ?? loadWorker(db, orgId, workerId));
    if (worker === null || !isReady(worker)) return true;
    budget.left -= 1;
    const firstTask = await firstWaitingFor(db, worker);
    if (firstTask === null) return true;
    if ((await offerToBest(db, firstTask, ahead)) === 'suspended') return false;
  }
  return false;
}

/** How many workers a task of the pool is offered to at once: one, or in a broadcast pool several. */
function offersAtOnce(pool: Pool | null): number {
  return pool?.offer_mode === 'broadcast' ? pool.broadcast_size : 1;
}

/** The pool that a task requires; null when it requires none or the pool was removed. */
export async function poolOfTask(db: Db, task: Task, ahead = nothingRead()): Promise<Pool | null> {
  const id = poolOf(task);
  return id === null ? null : loadPoolOnce(db, task.org_id, id, ahead);
}

function loadPoolOnce(db: Db, orgId: string, id: string, { pools }: ReadAhead): Promise<Pool | null> {
  // A damaged record of a pool is treated as a pool with default settings.
  const pool = pools.get(id) ?? early(nullIfBroken(db, () => loadPool(db, orgId, id)));
  pools.set(id, pool);
  return pool;
}

/** What became of a round of offers; `refused`: the task or a worker has changed meanwhile. */
type Outcome = 'offered' | 'refused' | 'suspended';

async function offerToBest(db: Db, stored: StoredTask, ahead: ReadAhead): Promise<Outcome> {
  ahead.tasks.delete(stored.task.task_id);
  const pool = await poolOfTask(db, stored.task, ahead);
  return offer(db, stored, pool, await findWorkers(db, stored.task, offersAtOnce(pool)));
}

/** Matches a queued task to these workers, best first, and offers it to each of them. */
async function offer(
  db: Db,
  stored: StoredTask,
  pool: Pool | null,
  workers: readonly Worker[],
): Promise<Outcome> {
  const { task } = stored;
  if (workers.length === 0) return 'refused';
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
  const loaded = { loaded: stored, loadedWorkers: workers };
  const changed = await changeTask(db, task.org_id, task.task_id, choose, { actor: 'system', ...loaded });
  if (!mayOffer) return 'suspended';
  return changed.ok ? 'offered' : 'refused';
}
