// Pools, as integrators manage them.

import Type from 'typebox';
import { isSame } from '../../../state/text/same.ts';
import { timestamp } from '../../../state/text/time.ts';
import type { Pool } from '../../../state/workers/worker.ts';
import { commit, merge } from '../../../store/redis/commit.ts';
import { CONFLICT, updateWithRetry } from '../../../store/redis/contention.ts';
import { newId } from '../../../store/redis/ids.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { memberId } from '../../../store/redis/lists.ts';
import { loadPool, loadPools, poolRemovedAt, poolWrites } from '../../../store/workers/pools.ts';
import { type KeyPrincipal, maySeePool } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import { requireVersion, versionedResponse } from '../../http/etag.ts';
import { listPage } from '../../http/list.ts';
import { ApiError, notFound, removalInProgress } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import {
  ClientId,
  CreatedAt,
  closed,
  described,
  PageQuery,
  PoolId,
  pageOf,
  UpdatedAt,
  word,
} from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { removalEnds } from './removal.ts';

const Name = Type.String({ minLength: 1, maxLength: 200, description: 'Name for people' });
const Ttl = Type.Unsafe<number | null>({
  type: ['integer', 'null'],
  minimum: 1,
  maximum: 86_400,
  description: 'Seconds until an offer expires; null: by the urgency of the task',
});
const Fields = {
  name: Name,
  offer_mode: word(['sequential', 'broadcast'], {
    default: 'sequential',
    description:
      'sequential: to one worker after the other. broadcast: to several at once; the first to accept gets it',
  }),
  broadcast_size: Type.Integer({
    minimum: 1,
    maximum: 200,
    default: 5,
    description: 'Most workers that a broadcast offers a task at once',
  }),
  offer_ttl_seconds: Ttl,
};
const PoolView = Type.Object(
  {
    pool_id: PoolId,
    name: Name,
    offer_mode: Fields.offer_mode,
    broadcast_size: Fields.broadcast_size,
    offer_ttl_seconds: Ttl,
    created_at: CreatedAt,
    updated_at: UpdatedAt,
  },
  { $id: 'Pool', description: 'A named group of workers' },
);
const Params = Type.Object({ pool_id: PoolId });
const { name, ...optional } = Fields;

export const poolRoutes = [
  route({
    method: 'POST',
    path: '/v1/pools',
    access: scope('pools:write'),
    tag: 'Pools',
    adds: true,
    operationId: 'createPool',
    summary: 'Create a pool',
    description: 'A pool is a group of workers with its own way of making offers.',
    body: closed({
      pool_id: Type.Optional(described(ClientId, 'Id of the pool; generated if absent')),
      name,
      ...Type.Partial(Type.Object(optional)).properties,
    }),
    responses: { 201: { description: 'The pool', schema: PoolView, headers: ['ETag', 'Location'] } },
    errors: ['already_exists', 'removal_in_progress'],
    async handler({ deps, principal, body, recordResponse, credentialGuards, signal }) {
      const now = deps.db.clock.now();
      const pool: Pool = {
        incarnation: newId(now),
        pool_id: body.pool_id ?? newId(now),
        org_id: principal.org_id,
        version: 1,
        name: body.name,
        offer_mode: body.offer_mode ?? 'sequential',
        broadcast_size: body.broadcast_size ?? 5,
        offer_ttl_seconds: body.offer_ttl_seconds ?? null,
        created_at: now,
        updated_at: now,
      };
      if (!maySeePool(principal, pool.pool_id))
        throw new ApiError('pool_forbidden', 'The key is confined to other pools.');
      const response = poolResponse(pool, 201);
      return updateWithRetry('pool', async () => {
        const callerGuards = await credentialGuards();
        if ((await loadPool(deps.db, pool.org_id, pool.pool_id)) !== null)
          throw new ApiError('already_exists', `Pool ${pool.pool_id} already exists.`);
        const { org_id, pool_id } = pool;
        const isDone = async () => (await poolRemovedAt(deps.db, org_id, pool_id)) === null;
        if (!(await removalEnds(deps, org_id, isDone, (what) => what === `pool ${pool_id}`, signal)))
          throw removalInProgress(
            `The workers and tasks of the removed pool ${pool.pool_id} are still being released.`,
          );
        const room = await deps.usage.quotaGuards(pool.org_id, 'pools');
        if (
          await commit(
            deps.db.redis,
            merge(callerGuards, room, poolWrites(deps.db, null, pool), recordResponse(response)),
          )
        )
          return response;
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/pools',
    access: scope('pools:read'),
    tag: 'Pools',
    operationId: 'listPools',
    summary: 'List pools',
    description: 'A key that is confined to pools sees only those.',
    query: closed(PageQuery),
    responses: { 200: { description: 'A page of pools', schema: pageOf(PoolView) } },
    handler({ deps: { db }, principal, query }) {
      const { org_id, pools } = principal;
      return listPage(db, query, {
        indexes: [orgKeysOf(db.prefix, org_id).index('pools')],
        boundTo: ['pools', org_id, pools],
        load: async (members) =>
          (await loadPools(db, org_id, members.map(memberId))).map((pool) =>
            pool !== null && maySeePool(principal, pool.pool_id) ? pool : null,
          ),
        show: (all) => all.map(poolView),
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/pools/{pool_id}',
    access: scope('pools:read'),
    tag: 'Pools',
    operationId: 'getPool',
    summary: 'Retrieve a pool',
    description: 'Shows the pool with its offer settings.',
    params: Params,
    responses: { 200: { description: 'The pool', schema: PoolView, headers: ['ETag'] } },
    handler: async ({ deps, principal, params }) =>
      poolResponse(await visiblePool(deps, principal, params.pool_id)),
  }),
  route({
    method: 'PATCH',
    path: '/v1/pools/{pool_id}',
    access: scope('pools:write'),
    versioned: true,
    tag: 'Pools',
    operationId: 'updatePool',
    summary: 'Update a pool',
    description: 'Changes the given fields. New offers follow; pending offers keep their expiry.',
    params: Params,
    body: Type.Partial(closed(Fields), { additionalProperties: false }),
    responses: { 200: { description: 'The pool', schema: PoolView, headers: ['ETag'] } },
    async handler({ deps, principal, params, body, ifMatch, credentialGuards }) {
      return updateWithRetry('pool', async () => {
        const callerGuards = await credentialGuards();
        const before = await visiblePool(deps, principal, params.pool_id);
        requireVersion(before.version, ifMatch);
        if (isSame({ ...before, ...body }, before)) return poolResponse(before);
        const after = { ...before, ...body, version: before.version + 1, updated_at: deps.db.clock.now() };
        if (await commit(deps.db.redis, merge(callerGuards, poolWrites(deps.db, before, after))))
          return poolResponse(after);
        return CONFLICT;
      });
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/pools/{pool_id}',
    access: scope('pools:write'),
    versioned: true,
    tag: 'Pools',
    operationId: 'deletePool',
    summary: 'Remove a pool',
    description: 'Its workers leave it, and its offered and assigned tasks go back to the queue.',
    params: Params,
    responses: { 204: { description: 'Removed' } },
    async handler({ deps, principal, params, ifMatch, credentialGuards }) {
      return updateWithRetry('pool', async () => {
        const callerGuards = await credentialGuards();
        const before = await visiblePool(deps, principal, params.pool_id);
        requireVersion(before.version, ifMatch);
        if (await commit(deps.db.redis, merge(callerGuards, poolWrites(deps.db, before, null))))
          return { status: 204 };
        return CONFLICT;
      });
    },
  }),
];

async function visiblePool(deps: ApiDeps, principal: KeyPrincipal, poolId: string): Promise<Pool> {
  const pool = await loadPool(deps.db, principal.org_id, poolId);
  if (pool === null || !maySeePool(principal, pool.pool_id)) throw notFound();
  return pool;
}

function poolView(pool: Pool): object {
  const {
    org_id: _org,
    version: _version,
    incarnation: _incarnation,
    created_at,
    updated_at,
    ...shown
  } = pool;
  return { ...shown, created_at: timestamp(created_at), updated_at: timestamp(updated_at) };
}

function poolResponse(pool: Pool, status = 200): HttpResponse {
  return versionedResponse(pool, poolView(pool), `/v1/pools/${pool.pool_id}`, status);
}
