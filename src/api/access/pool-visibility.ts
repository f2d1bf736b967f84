// Which tasks, workers and webhook endpoints of its org a key may see and change.

import { poolOf } from '../../state/tasks/task.ts';
import type { Endpoint } from '../../state/webhooks/endpoint.ts';
import type { Worker } from '../../state/workers/worker.ts';
import type { Change } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { loadTask, type StoredTask } from '../../store/tasks/tasks.ts';
import { endpointAsLoaded, loadEndpoint } from '../../store/webhooks/endpoints.ts';
import { loadWorker } from '../../store/workers/workers.ts';
import { requireVersion } from '../http/etag.ts';
import { ApiError, notFound } from '../http/problem.ts';
import { maySee } from './grants.ts';
import { type KeyPrincipal, maySeePool } from './principal.ts';

/** Loads a task that the key may see. @throws ApiError 404 */
export async function visibleTask(db: Db, principal: KeyPrincipal, taskId: string): Promise<StoredTask> {
  const stored = await loadTask(db, principal.org_id, taskId);
  // Copies of a task are its workers' alone; an integrator sees the task.
  const isHidden = stored === null || stored.task.copy_of !== undefined;
  if (isHidden || !maySeePool(principal, poolOf(stored.task))) throw notFound();
  return stored;
}

/** Whether the key may see this worker: it is for all pools, or for one of the worker's. */
export function maySeeWorker(principal: KeyPrincipal, worker: Worker): boolean {
  return principal.pools.includes('*') || worker.pool_ids.some((id) => principal.pools.includes(id));
}

/** Loads a worker that the key may see. @throws ApiError 404 */
export async function visibleWorker(db: Db, principal: KeyPrincipal, workerId: string): Promise<Worker> {
  const worker = await loadWorker(db, principal.org_id, workerId);
  if (worker === null || !maySeeWorker(principal, worker)) throw notFound();
  return worker;
}

/** Loads a worker that the key may change; see `requireChangeable`. @throws ApiError 403, 404 */
export async function changeableWorker(db: Db, principal: KeyPrincipal, workerId: string): Promise<Worker> {
  const worker = await visibleWorker(db, principal, workerId);
  requireChangeable(principal, worker);
  return worker;
}

/**
 * Requires that the key is for all pools of the worker: a change affects all of them, and a token shows their tasks.
 * @throws ApiError 404 when the key may not see the worker, 403 when it lacks one of the pools
 */
export function requireChangeable(principal: KeyPrincipal, worker: Worker): void {
  if (!maySeeWorker(principal, worker)) throw notFound();
  if (!maySee(principal, { pools: worker.pool_ids }))
    throw new ApiError('pool_forbidden', 'The worker is also in pools that the key is not for.');
}

/** Loads an endpoint that the key may see: the key is for all of its pools. @throws ApiError 404 */
export async function visibleEndpoint(db: Db, principal: KeyPrincipal, id: string): Promise<Endpoint> {
  const endpoint = await loadEndpoint(db, principal.org_id, id);
  if (endpoint === null || !maySee(principal, endpoint)) throw notFound();
  return endpoint;
}

/** Loads an enabled endpoint, with a guard that fails when it changes. @throws ApiError 404, 409 when disabled, 412 */
export async function enabledEndpoint(
  db: Db,
  principal: KeyPrincipal,
  id: string,
  ifMatch: number | undefined,
): Promise<{ endpoint: Endpoint; asLoaded: Change }> {
  const endpoint = await visibleEndpoint(db, principal, id);
  requireVersion(endpoint.version, ifMatch);
  if (!endpoint.enabled)
    throw new ApiError('endpoint_unavailable', 'The endpoint is disabled. Enable it first.');
  return { endpoint, asLoaded: { guards: [endpointAsLoaded(db, endpoint)], writes: [] } };
}
