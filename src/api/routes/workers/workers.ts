// Workers and their tokens, for those who run them.

import Type from 'typebox';
import { newAuditEvent } from '../../../state/audit/audit.ts';
import { newTrackRecord } from '../../../state/workers/track-record.ts';
import { workerView } from '../../../state/workers/view.ts';
import { AVAILABILITIES, drain, type Worker } from '../../../state/workers/worker.ts';
import { commitAudited } from '../../../store/audit/audit-log.ts';
import {
  countWorkerTokens,
  newCredential,
  revokeWorkerTokens,
  WORKER_TOKENS,
  workerTokenWrites,
} from '../../../store/identity/credentials.ts';
import { type Change, commit, together } from '../../../store/redis/commit.ts';
import { ContendedError, updateAttempts } from '../../../store/redis/contention.ts';
import { newId } from '../../../store/redis/ids.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { memberId, page } from '../../../store/redis/lists.ts';
import {
  asLoaded,
  changeWorker,
  isBeingRemoved,
  loadWorker,
  loadWorkers,
  workerWrites,
} from '../../../store/workers/workers.ts';
import { checkPools, maySee, refuse } from '../../access/grants.ts';
import { quotaExceeded } from '../../access/usage.ts';
import type { ApiDeps } from '../../deps.ts';
import { requireVersion } from '../../http/etag.ts';
import { listAnswer as answerList, DEFAULT_LIMIT, listScope, readCursor } from '../../http/list.ts';
import { ApiError, notFound, removalInProgress } from '../../http/problem.ts';
import { type Answer, type KeyPrincipal, route, scope } from '../../http/route.ts';
import {
  ClientId,
  closed,
  Labels,
  listAnswer,
  nullable,
  PageQuery,
  Timestamp,
  word,
} from '../../http/schemas.ts';
import { removalEnds } from './removal.ts';

const Fields = {
  name: Type.String({ minLength: 1, maxLength: 200 }),
  pool_ids: Type.Array(ClientId, { maxItems: 100, uniqueItems: true }),
  unpooled_tasks: Type.Boolean({
    description:
      'Whether tasks that name no pool are offered to them. Only a key that is not confined to pools may say so; default: whether the key that makes them is none',
  }),
  skills: Labels,
  certifications: Labels,
  trust_level: Type.Number({ minimum: 0, maximum: 5, default: 0 }),
  rating: Type.Number({ minimum: 0, maximum: 5, default: 5 }),
  capacity: Type.Integer({ minimum: 1, maximum: 1000, default: 1 }),
  availability: word(AVAILABILITIES, { default: 'offline' }),
};
export const WorkerView = Type.Object(
  {
    worker_id: ClientId,
    ...Fields,
    draining: Type.Boolean({ description: 'They finish what they hold and are offline then' }),
    active_tasks: Type.Integer({ description: 'Places of the capacity taken by offers and tasks' }),
    rating_count: Type.Integer({ description: 'Ratings by reviewers since `rating` was last set' }),
    acceptance_rate: nullable(Type.Number({ description: 'Share of the offers they answered or let lapse' })),
    lapse_rate: nullable(Type.Number()),
    created_at: Timestamp,
    updated_at: Timestamp,
  },
  { $id: 'Worker' },
);
const Params = Type.Object({ worker_id: ClientId });
const { name, ...optional } = Fields;

export const workerRoutes = [
  route({
    method: 'POST',
    path: '/v1/workers',
    access: scope('workers:write'),
    tag: 'Workers',
    summary: 'Create a worker',
    body: closed({
      worker_id: Type.Optional(ClientId),
      name,
      ...Type.Partial(Type.Object(optional)).properties,
    }),
    answers: { 201: { description: 'The worker', schema: WorkerView } },
    async handler({ deps, principal, body, recordAnswer, credentialGuards, signal }) {
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
      const answer = workerAnswer(worker, principal, 201);
      for await (const _attempt of updateAttempts()) {
        const callerGuards = await credentialGuards();
        const poolGuards = await requirePools(deps, principal, worker.pool_ids);
        if ((await loadWorker(deps.db, worker.org_id, worker.worker_id)) !== null)
          throw new ApiError('already_exists', `There is a worker ${worker.worker_id} already.`);
        const { org_id, worker_id } = worker;
        const isDone = async () => !(await isBeingRemoved(deps.db, org_id, worker_id));
        if (!(await removalEnds(deps, org_id, isDone, (what) => what.startsWith('task '), signal)))
          throw removalInProgress(
            `Tasks of the removed worker ${worker.worker_id} are still being released.`,
          );
        const { guards, writes } = together(
          callerGuards,
          await deps.usage.room(worker.org_id, 'workers'),
          poolGuards,
          workerWrites(deps.db, null, worker),
          recordAnswer(answer),
        );
        if (await commit(deps.db.redis, guards, writes)) return answer;
      }
      throw new ContendedError('worker');
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workers',
    access: scope('workers:read'),
    tag: 'Workers',
    summary: 'List workers',
    query: closed(PageQuery),
    answers: { 200: { description: 'A page of workers', schema: listAnswer(WorkerView) } },
    async handler({ deps: { db }, principal, query }) {
      const { limit = DEFAULT_LIMIT, cursor, order = 'desc' } = query;
      const bound = listScope('workers', principal.org_id, principal.pools, order);
      const range = { order, after: readCursor(bound, cursor), from: null, to: null };
      const index = orgKeysOf(db.prefix, principal.org_id).index('workers');
      const { items, next } = await page(db, [index], range, limit, async (members) =>
        (await loadWorkers(db, principal.org_id, members.map(memberId))).map((worker) =>
          worker !== null && maySeeWorker(principal, worker) ? workerView(worker, principal) : null,
        ),
      );
      return answerList(items, bound, next);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/workers/{worker_id}',
    access: scope('workers:read'),
    tag: 'Workers',
    summary: 'Retrieve a worker',
    params: Params,
    answers: { 200: { description: 'The worker', schema: WorkerView } },
    handler: async ({ deps, principal, params }) =>
      workerAnswer(await visibleWorker(deps, principal, params.worker_id), principal),
  }),
  route({
    method: 'PATCH',
    path: '/v1/workers/{worker_id}',
    access: scope('workers:write'),
    versioned: true,
    tag: 'Workers',
    summary: 'Change a worker; offers of what they cannot do any more go to others',
    params: Params,
    body: Type.Partial(closed(Fields), { additionalProperties: false }),
    answers: { 200: { description: 'The worker', schema: WorkerView } },
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
          return body.pool_ids === undefined ? together() : requirePools(deps, principal, body.pool_ids);
        },
      );
      if (worker === null) throw notFound();
      return workerAnswer(worker, principal);
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workers/{worker_id}/drain',
    access: scope('workers:write'),
    versioned: true,
    tag: 'Workers',
    summary: 'Let a worker finish what they have and get nothing new; offline then',
    params: Params,
    body: closed({}),
    bodyOptional: true,
    answers: { 200: { description: 'The worker', schema: WorkerView } },
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
          return together();
        },
      );
      if (worker === null) throw notFound();
      return workerAnswer(worker, principal);
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/workers/{worker_id}',
    access: scope('workers:write'),
    versioned: true,
    tag: 'Workers',
    summary: 'Remove a worker: tokens end at once, what they hold goes back to the queue',
    params: Params,
    answers: { 204: { description: 'Gone' } },
    async handler({ deps, principal, actor, params, ifMatch, credentialGuards }) {
      for await (const _attempt of updateAttempts()) {
        const callerGuards = await credentialGuards();
        const worker = await changeableWorker(deps, principal, params.worker_id);
        requireVersion(worker.version, ifMatch);
        const tokens = await revokeWorkerTokens(deps.db, worker.org_id, worker.worker_id);
        const auditEvent = {
          ...newAuditEvent(actor, 'worker.removed', 'worker', worker.worker_id),
          data: { name: worker.name, tokens_revoked: tokens.hashes.length },
        };
        const change = together(callerGuards, workerWrites(deps.db, worker, null), tokens);
        if (!(await commitAudited(deps.db, worker.org_id, auditEvent, change))) continue;
        for (const hash of tokens.hashes) deps.forgetCredential(hash);
        return { status: 204 };
      }
      throw new ContendedError('worker');
    },
  }),
  route({
    method: 'POST',
    path: '/v1/workers/{worker_id}/tokens',
    access: scope('workers:write'),
    versioned: true,
    tag: 'Workers',
    summary: 'Make a token for a worker; it is shown once',
    params: Params,
    body: closed({}),
    bodyOptional: true,
    answers: { 201: { description: 'The token', schema: closed({ token: Type.String() }) } },
    async handler({ deps, principal, actor, params, ifMatch, recordAnswer, credentialGuards }) {
      const { text, hash } = newCredential('blw_', principal.org_id);
      const answer = { status: 201, body: { token: text } };
      for await (const _attempt of updateAttempts()) {
        const callerGuards = await credentialGuards();
        const worker = await changeableWorker(deps, principal, params.worker_id);
        requireVersion(worker.version, ifMatch);
        const count = await countWorkerTokens(deps.db, worker.org_id, worker.worker_id);
        if (count >= WORKER_TOKENS)
          throw quotaExceeded('worker_tokens', 'The worker', 'tokens', count, WORKER_TOKENS);
        const token = workerTokenWrites(deps.db, worker, principal.pools, hash);
        const auditEvent = newAuditEvent(actor, 'worker_token.created', 'worker', worker.worker_id);
        const change = together(callerGuards, token, recordAnswer(answer));
        if (await commitAudited(deps.db, worker.org_id, auditEvent, change)) return answer;
      }
      throw new ContendedError('worker');
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/workers/{worker_id}/tokens',
    access: scope('workers:write'),
    versioned: true,
    tag: 'Workers',
    summary: "Revoke all of a worker's tokens",
    params: Params,
    answers: { 204: { description: 'Revoked' } },
    async handler({ deps, principal, actor, params, ifMatch, credentialGuards }) {
      for await (const _attempt of updateAttempts()) {
        const callerGuards = await credentialGuards();
        const worker = await changeableWorker(deps, principal, params.worker_id);
        requireVersion(worker.version, ifMatch);
        const { hashes, ...tokens } = await revokeWorkerTokens(deps.db, worker.org_id, worker.worker_id);
        if (hashes.length === 0) return { status: 204 };
        const auditEvent = {
          ...newAuditEvent(actor, 'worker_token.revoked', 'worker', worker.worker_id),
          data: { tokens_revoked: hashes.length },
        };
        const asFound: Change = { guards: [asLoaded(deps.db, worker)], writes: [] };
        const change = together(callerGuards, asFound, tokens);
        if (!(await commitAudited(deps.db, worker.org_id, auditEvent, change))) continue;
        for (const hash of hashes) deps.forgetCredential(hash);
        return { status: 204 };
      }
      throw new ContendedError('worker');
    },
  }),
];

async function visibleWorker(deps: ApiDeps, principal: KeyPrincipal, workerId: string): Promise<Worker> {
  const worker = await loadWorker(deps.db, principal.org_id, workerId);
  if (worker === null || !maySeeWorker(principal, worker)) throw notFound();
  return worker;
}

async function changeableWorker(deps: ApiDeps, principal: KeyPrincipal, workerId: string): Promise<Worker> {
  const worker = await visibleWorker(deps, principal, workerId);
  requireChangeable(principal, worker);
  return worker;
}

/**
 * A worker of several pools is of use to all of them, and with their token their tasks are seen: who changes
 * them, or makes a token, must be for all of them. @throws ApiError 404 or 403
 */
function requireChangeable(principal: KeyPrincipal, worker: Worker): void {
  if (!maySeeWorker(principal, worker)) throw notFound();
  if (!maySee(principal, { pools: worker.pool_ids }))
    throw new ApiError('pool_forbidden', 'The worker is in other pools too, which the key is not for.');
}

/** Whether the key may see this worker: who shares one of its pools does. */
export function maySeeWorker(principal: KeyPrincipal, worker: Worker): boolean {
  return principal.pools.includes('*') || worker.pool_ids.some((id) => principal.pools.includes(id));
}

/** @returns guards that hold while the pools are there. @throws ApiError 403 for a pool the key is not for, 422 for one that is not there. */
async function requirePools(deps: ApiDeps, principal: KeyPrincipal, ids: readonly string[]): Promise<Change> {
  const confined = !principal.pools.includes('*');
  if (confined && (ids.length === 0 || !ids.every((id) => principal.pools.includes(id))))
    throw new ApiError('pool_forbidden', 'The key may put workers only into its own pools.');
  const { errors, ...poolGuards } = await checkPools(deps, principal.org_id, ids, 'pool_ids');
  refuse(errors);
  return poolGuards;
}

/** Tasks of no pool are not for a key that is confined to some, nor for workers that it makes. @throws ApiError 403 */
function requireUnpooled(principal: KeyPrincipal, asked: boolean | undefined): void {
  if (asked === true && !principal.pools.includes('*'))
    throw new ApiError('pool_forbidden', 'The key may give workers only tasks of its own pools.');
}

export function workerAnswer(worker: Worker, viewer: { pools: readonly string[] }, status = 200): Answer {
  return {
    status,
    body: workerView(worker, viewer),
    headers: {
      ETag: `"${worker.version}"`,
      ...(status === 201 && { Location: `/v1/workers/${worker.worker_id}` }),
    },
  };
}
