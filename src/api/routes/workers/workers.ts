// Workers, as integrators manage them.

import Type from 'typebox';
import { newAuditEvent } from '../../../state/audit/audit.ts';
import { newTrackRecord } from '../../../state/workers/track-record.ts';
import { drain, type Worker } from '../../../state/workers/worker.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import { endSessions, sessionsKey } from '../../../store/identity/sessions.ts';
import { revokeWorkerTokens } from '../../../store/identity/worker-tokens.ts';
import { type Change, commit, merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { newId } from '../../../store/redis/ids.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { memberId, page } from '../../../store/redis/lists.ts';
import {
  changeWorker,
  isBeingRemoved,
  loadWorker,
  loadWorkers,
  workerWrites,
} from '../../../store/workers/workers.ts';
import { checkPools } from '../../access/grants.ts';
import {
  changeableWorker,
  maySeeWorker,
  requireChangeable,
  visibleWorker,
} from '../../access/pool-visibility.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { requireVersion } from '../../http/etag.ts';
import { DEFAULT_LIMIT, listResponse, listScope, readCursor } from '../../http/list.ts';
import { ApiError, notFound, removalInProgress, throwIfAny } from '../../http/problem.ts';
import { ClientId, closed, described, PageQuery, pageOf } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { removalEnds } from './removal.ts';
import { isWanted, seenViews } from './worker-list.ts';
import { workerResponse } from './worker-response.ts';
import { ownerOf } from './worker-sign-in.ts';
import { WorkerFields, WorkerFilters, WorkerParams, WorkerView } from './workers.schema.ts';

const { name, ...optional } = WorkerFields;

export const workerRoutes = [
  route({
    method: 'POST',
    path: '/v1/workers',
    access: scope('workers:write'),
    tag: 'Workers',
    adds: true,
    operationId: 'createWorker',
    summary: 'Create a worker',
    description: 'A worker is a person who takes tasks. Create a token for them to sign in with.',
    body: closed({
      worker_id: Type.Optional(described(ClientId, 'Id of the worker; generated if absent')),
      name,
      ...Type.Partial(Type.Object(optional)).properties,
    }),
    responses: { 201: { description: 'The worker', schema: WorkerView, headers: ['ETag', 'Location'] } },
    errors: ['already_exists', 'removal_in_progress'],
    async handler({ deps, principal, body, recordResponse, credentialGuards, signal }) {
      const now = deps.db.clock.now();
      const worker: Worker = {
        incarnation: newId(now),
        worker_id: body.worker_id ?? newId(now),
        org_id: principal.org_id,
        version: 1,
        name: body.name,
        pool_ids: body.pool_ids ?? [],
        unpooled_tasks: body.unpooled_tasks ?? principal.pools.includes('*'),
        skills: body.skills ?? [],
        certifications: body.certifications ?? [],
        trust_level: body.trust_level ?? 0,
        rating: body.rating ?? 5,
        track: newTrackRecord(body.rating ?? 5),
        capacity: body.capacity ?? 1,
        availability: body.availability ?? 'offline',
        draining: false,
        reservations: [],
        idle_since: now,
        created_at: now,
        updated_at: now,
      };
      requireUnpooled(principal, body.unpooled_tasks);
      const response = workerResponse(worker, principal, 201);
      return updateWithRetry('worker', async () => {
        const callerGuards = await credentialGuards();
        const poolGuards = await requirePools(deps, principal, worker.pool_ids);
        if ((await loadWorker(deps.db, worker.org_id, worker.worker_id)) !== null)
          throw new ApiError('already_exists', `Worker ${worker.worker_id} already exists.`);
        const { org_id, worker_id } = worker;
        const isDone = async () => !(await isBeingRemoved(deps.db, org_id, worker_id));
        if (!(await removalEnds(deps, org_id, isDone, (what) => what.startsWith('task '), signal)))
          throw removalInProgress(
            `Tasks of the removed worker ${worker.worker_id} are still being released.`,
          );
        if (
          await commit(
            deps.db.redis,
            merge(
              callerGuards,
              await deps.usage.quotaGuards(worker.org_id, 'workers'),
              poolGuards,
              workerWrites(deps.db, null, worker),
              recordResponse(response),
            ),
          )
        )
          return response;
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workers',
    access: scope('workers:read'),
    tag: 'Workers',
    operationId: 'listWorkers',
    summary: 'List workers',
    description: 'A key that is confined to pools sees only the workers of those pools.',
    query: closed({ ...WorkerFilters, ...PageQuery }),
    responses: { 200: { description: 'A page of workers', schema: pageOf(WorkerView) } },
    async handler({ deps: { db }, principal, query, signal }) {
      const { limit = DEFAULT_LIMIT, cursor, order = 'desc', ...filters } = query;
      const bound = listScope('workers', principal.org_id, principal.pools, filters, order);
      const range = { order, after: readCursor(bound, cursor), from: null, to: null };
      const index = orgKeysOf(db.prefix, principal.org_id).index('workers');
      const now = db.clock.now();
      const { items: workers, next } = await page(
        db,
        [index],
        range,
        limit,
        async (members) =>
          (await loadWorkers(db, principal.org_id, members.map(memberId))).map((worker) =>
            worker !== null && maySeeWorker(principal, worker) && isWanted(worker, principal, filters, now)
              ? worker
              : null,
          ),
        undefined,
        signal(),
      );
      const items = await seenViews(db, principal, workers);
      return listResponse(items, bound, next);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workers/{worker_id}',
    access: scope('workers:read'),
    tag: 'Workers',
    operationId: 'getWorker',
    summary: 'Retrieve a worker',
    description: 'Shows the worker with their track record and present load.',
    params: WorkerParams,
    responses: { 200: { description: 'The worker', schema: WorkerView, headers: ['ETag'] } },
    async handler({ deps: { db }, principal, params }) {
      const worker = await visibleWorker(db, principal, params.worker_id);
      const [body] = await seenViews(db, principal, [worker]);
      return { ...workerResponse(worker, principal), body };
    },
  }),
  route({
    method: 'PATCH',
    path: '/v1/workers/{worker_id}',
    access: scope('workers:write'),
    versioned: true,
    tag: 'Workers',
    operationId: 'updateWorker',
    summary: 'Update a worker',
    description:
      'Changes the given fields. Offers that the worker may not accept any longer go to other workers.',
    params: WorkerParams,
    body: Type.Partial(closed(WorkerFields), { additionalProperties: false }),
    responses: { 200: { description: 'The worker', schema: WorkerView, headers: ['ETag'] } },
    async handler(call) {
      const { deps, principal, params, body, ifMatch } = call;
      requireUnpooled(principal, body.unpooled_tasks);
      const worker = await changeWorker(
        call.deps.db,
        call.principal.org_id,
        params.worker_id,
        body,
        call.credentialGuards,
        async (before) => {
          requireChangeable(principal, before);
          requireVersion(before.version, ifMatch);
          return body.pool_ids === undefined ? merge() : requirePools(deps, principal, body.pool_ids);
        },
      );
      if (worker === null) throw notFound();
      return workerResponse(worker, principal);
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workers/{worker_id}/drain',
    access: scope('workers:write'),
    versioned: true,
    tag: 'Workers',
    operationId: 'drainWorker',
    summary: 'Drain a worker',
    description: 'The worker finishes the current tasks, gets no new offers and then goes offline.',
    params: WorkerParams,
    body: closed({}),
    bodyOptional: true,
    responses: { 200: { description: 'The worker', schema: WorkerView, headers: ['ETag'] } },
    async handler(call) {
      const { principal, params, ifMatch } = call;
      const worker = await changeWorker(
        call.deps.db,
        call.principal.org_id,
        params.worker_id,
        drain,
        call.credentialGuards,
        async (before) => {
          requireChangeable(principal, before);
          requireVersion(before.version, ifMatch);
          return merge();
        },
      );
      if (worker === null) throw notFound();
      return workerResponse(worker, principal);
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/workers/{worker_id}',
    access: scope('workers:write'),
    versioned: true,
    tag: 'Workers',
    operationId: 'deleteWorker',
    summary: 'Remove a worker',
    description:
      'The tokens and sessions of the worker end at once; their offers and tasks go back to the queue.',
    params: WorkerParams,
    responses: { 204: { description: 'Removed' } },
    async handler({ deps, principal, actor, params, ifMatch, credentialGuards }) {
      return updateWithRetry('worker', async () => {
        const callerGuards = await credentialGuards();
        const worker = await changeableWorker(deps.db, principal, params.worker_id);
        requireVersion(worker.version, ifMatch);
        const tokens = await revokeWorkerTokens(deps.db, worker.org_id, worker.worker_id);
        const owner = ownerOf(worker);
        const { sessions, links, ...signedOut } = await endSessions(deps.db, owner);
        const auditEvent = {
          ...newAuditEvent(actor, 'worker.removed', 'worker', worker.worker_id),
          data: {
            name: worker.name,
            tokens_revoked: tokens.hashes.length,
            sessions_ended: sessions,
            links_ended: links,
          },
        };
        const change = merge(callerGuards, workerWrites(deps.db, worker, null), tokens, signedOut);
        if (!(await commitAudited(deps.db, worker.org_id, auditEvent, change))) return CONFLICT;
        for (const name of [...tokens.hashes, sessionsKey(deps.db, owner)]) deps.forgetCredential(name);
        return { status: 204 };
      });
    },
  }),
];

/**
 * Requires that the pools exist and that the key may put workers into them.
 * @returns guards that fail when one of the pools is removed. @throws ApiError 403, or 422 for a pool that does not exist
 */
async function requirePools(deps: ApiDeps, principal: KeyPrincipal, ids: readonly string[]): Promise<Change> {
  const confined = !principal.pools.includes('*');
  if (confined && (ids.length === 0 || !ids.every((id) => principal.pools.includes(id))))
    throw new ApiError('pool_forbidden', 'The key may put workers only into its own pools.');
  const { errors, ...poolGuards } = await checkPools(deps.db, principal.org_id, ids, 'pool_ids');
  throwIfAny(errors);
  return poolGuards;
}

/** Only a key for all pools may give workers tasks without a pool. @throws ApiError 403 */
function requireUnpooled(principal: KeyPrincipal, asked: boolean | undefined): void {
  if (asked === true && !principal.pools.includes('*'))
    throw new ApiError('pool_forbidden', 'The key may give workers only tasks of its own pools.');
}
