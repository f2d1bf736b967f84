// The tasks that a worker token can see: the worker's own, restricted to the pools of the key that created the token. Of a task
// with copies a worker sees their own copy, never the task or another copy.

import { LRUCache } from 'lru-cache';
import { atMost } from '../../state/cache-entries.ts';
import { isOfWorker } from '../../state/tasks/offer.ts';
import { poolOf, type Task } from '../../state/tasks/task.ts';
import type { Worker } from '../../state/workers/worker.ts';
import type { Db } from '../../store/redis/connection.ts';
import { taskOfOffer } from '../../store/tasks/offers.ts';
import { pendingOffers } from '../../store/tasks/pending-offers.ts';
import { loadTask, type StoredTask } from '../../store/tasks/tasks.ts';
import { loadWorker } from '../../store/workers/workers.ts';
import { notFound } from '../http/problem.ts';
import { maySeePool, type WorkerPrincipal } from './principal.ts';

/**
 * Whether the task is assigned to this worker, or was when it ended, and the token may see it: by its pool now, or by that
 * in which it was accepted.
 */
export function isOwnTask(task: Task, principal: WorkerPrincipal): boolean {
  const { assignment } = task;
  if (assignment === null || !isOfWorker(assignment, principal)) return false;
  const { pool_id } = assignment;
  return mayShowTask(task, principal) || (pool_id !== undefined && maySeePool(principal, pool_id));
}

/** Whether the token may see the task, by its pool. */
export function mayShowTask(task: Task, token: WorkerPrincipal): boolean {
  return maySeePool(token, poolOf(task));
}

/** The worker's pending offers that the token may see. */
export async function ownOffers(
  db: Db,
  principal: WorkerPrincipal,
): Promise<Awaited<ReturnType<typeof pendingOffers>>> {
  const offers = await pendingOffers(db, principal.org_id, principal.worker_id);
  for (const { task, offer } of offers)
    tasksOfOffers.set(offerKey(db, principal, offer.offer_id), task.task_id);
  return offers.filter(({ task }) => mayShowTask(task, principal));
}

/** Tasks of offers that were listed lately: an offer that is answered has mostly been shown by this process. */
const tasksOfOffers = new LRUCache<string, string>(atMost(10_000));

function offerKey(db: Db, { org_id, worker_id, incarnation }: WorkerPrincipal, offerId: string): string {
  return [db.prefix, org_id, worker_id, incarnation, offerId].join(' ');
}

/** Id of the task of an offer to the worker, open or ended; null when there is no such offer. */
export async function taskOfOwnOffer(
  db: Db,
  principal: WorkerPrincipal,
  offerId: string,
): Promise<string | null> {
  const { org_id, worker_id } = principal;
  const known = tasksOfOffers.get(offerKey(db, principal, offerId));
  return known ?? taskOfOffer(db, org_id, worker_id, offerId);
}

/** Loads a task that is, or last was, assigned to this worker. @throws ApiError 404 */
export async function ownTask(db: Db, principal: WorkerPrincipal, taskId: string): Promise<StoredTask> {
  const stored = await loadTask(db, principal.org_id, taskId);
  if (stored === null || !isOwnTask(stored.task, principal)) throw notFound();
  return stored;
}

/** Loads the worker that the token belongs to. @throws ApiError 404 */
export async function ownWorker(db: Db, principal: WorkerPrincipal): Promise<Worker> {
  const worker = await loadWorker(db, principal.org_id, principal.worker_id);
  if (worker === null) throw notFound();
  return worker;
}
