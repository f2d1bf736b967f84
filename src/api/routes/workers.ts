// Workers and their tokens, for those who run them.

import Type from 'typebox';
import { did } from '../../state/audit.ts';
import { newTrackRecord, ratesOf } from '../../state/track-record.ts';
import { timestamp } from '../../state/view.ts';
import { AVAILABILITIES, drain, next as nextWorker, type Worker } from '../../state/worker.ts';
import { commitAudited } from '../../store/audit.ts';
import { commit } from '../../store/commit.ts';
import { ContendedError, updateAttempts } from '../../store/contention.ts';
import { newCredential, revokeWorkerTokens, workerTokenWrites } from '../../store/credentials.ts';
import { newId } from '../../store/ids.ts';
import { orgKeysOf } from '../../store/keys.ts';
import { memberId, page } from '../../store/lists.ts';
import { loadPools } from '../../store/pools.ts';
import { loadWorker, loadWorkers, workerWrites } from '../../store/workers.ts';
import { listAnswer as answerList, DEFAULT_LIMIT, listScope, readCursor } from '../list.ts';
import { ApiError, invalid, notFound, takenOver } from '../problem.ts';
import { type Answer, type ApiDeps, type KeyPrincipal, route, scope } from '../route.ts';
import { ClientId, closed, Labels, listAnswer, nullable, PageQuery, Timestamp, word } from '../schemas.ts';
import { maySee } from './grants.ts';
import { requireVersion } from './pools.ts';

const Fields = {
  name: Type.String({ minLength: 1, maxLength: 200 }),
  pool_ids: Type.Array(ClientId, { maxItems: 100, uniqueItems: true }),
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
    async handler({ deps, principal, body, keep }) {
      const now = deps.db.clock.now();
      const worker: Worker = {
        worker_id: body.worker_id ?? newId(now),
        org_id: principal.org_id,
        version: 1,
        name: body.name,
        pool_ids: body.pool_ids ?? [],
        skills: body.skills ?? [],
        certifications: body.certifications ?? [],
        trust_level: body.trust_level ?? 0,
        rating: body.rating ?? 5,
        track: newTrackRecord(body.rating ?? 5),
        capacity: body.capacity ?? 1,
        availability: body.availability ?? 'offline',
        draining: false,
        holding: [],
        idle_since: now,
        created_at: now,
        updated_at: now,
      };
      await requirePools(deps, principal, worker.pool_ids);
      const answer = workerAnswer(worker, 201);
      const change = workerWrites(deps.db, null, worker);
      const kept = keep(answer);
      if (
        !(await commit(deps.db.redis, [...change.guards, ...kept.guards], [...change.writes, ...kept.writes]))
      )
        throw new ApiError('already_exists', `There is a worker ${worker.worker_id} already.`);
      return answer;
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
          worker !== null && maySeeWorker(principal, worker) ? workerView(worker) : null,
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
      workerAnswer(await visibleWorker(deps, principal, params.worker_id)),
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
    async handler({ deps, principal, params, body, ifMatch }) {
      if (body.pool_ids !== undefined) await requirePools(deps, principal, body.pool_ids);
      return workerAnswer(
        await changeWorker(deps, principal.org_id, params.worker_id, body, (worker) => {
          requireChangeable(principal, worker);
          requireVersion(worker.version, ifMatch);
        }),
      );
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
    async handler({ deps, principal, params, ifMatch }) {
      return workerAnswer(
        await changeWorker(deps, principal.org_id, params.worker_id, drain, (worker) => {
          requireChangeable(principal, worker);
          requireVersion(worker.version, ifMatch);
        }),
      );
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
    async handler({ deps, principal, actor, params, ifMatch }) {
      for await (const _attempt of updateAttempts()) {
        const worker = await changeableWorker(deps, principal, params.worker_id);
        requireVersion(worker.version, ifMatch);
        const { guards, writes } = workerWrites(deps.db, worker, null);
        const tokens = await revokeWorkerTokens(deps.db, worker.org_id, worker.worker_id);
        const fact = {
          ...did(actor, 'worker.removed', 'worker', worker.worker_id),
          data: { name: worker.name, tokens_revoked: tokens.hashes.length },
        };
        const change = { guards, writes: [...writes, ...tokens.writes] };
        if (!(await commitAudited(deps.db, worker.org_id, fact, change))) continue;
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
    tag: 'Workers',
    summary: 'Make a token for a worker; it is shown once',
    params: Params,
    body: closed({}),
    bodyOptional: true,
    answers: { 201: { description: 'The token', schema: closed({ token: Type.String() }) } },
    async handler({ deps, principal, actor, params, keep }) {
      const { text, hash } = newCredential('blw_', principal.org_id);
      const answer = { status: 201, body: { token: text } };
      const kept = keep(answer);
      for (let tries = 0; tries < 20; tries += 1) {
        const { org_id, worker_id, version } = await changeableWorker(deps, principal, params.worker_id);
        const key = orgKeysOf(deps.db.prefix, org_id).worker(worker_id);
        const guards = [{ kind: 'version', key, version } as const, ...kept.guards];
        const writes = workerTokenWrites(deps.db, { kind: 'worker_token', org_id, worker_id }, hash);
        const fact = did(actor, 'worker_token.created', 'worker', worker_id);
        const change = { guards, writes: [...writes, ...kept.writes] };
        if (await commitAudited(deps.db, org_id, fact, change)) return answer;
      }
      throw takenOver();
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/workers/{worker_id}/tokens',
    access: scope('workers:write'),
    tag: 'Workers',
    summary: "Revoke all of a worker's tokens",
    params: Params,
    answers: { 204: { description: 'Revoked' } },
    async handler({ deps, principal, actor, params }) {
      const worker = await changeableWorker(deps, principal, params.worker_id);
      const { hashes, writes } = await revokeWorkerTokens(deps.db, worker.org_id, worker.worker_id);
      if (hashes.length === 0) return { status: 204 };
      const fact = {
        ...did(actor, 'worker_token.revoked', 'worker', worker.worker_id),
        data: { tokens_revoked: hashes.length },
      };
      await commitAudited(deps.db, worker.org_id, fact, { guards: [], writes });
      for (const hash of hashes) deps.forgetCredential(hash);
      return { status: 204 };
    },
  }),
];

/** Changes a worker by compare-and-set. @param admit throws when the caller may not change this one. */
export async function changeWorker(
  { db }: ApiDeps,
  orgId: string,
  workerId: string,
  change: Partial<Worker> | ((worker: Worker) => Partial<Worker>),
  admit: (worker: Worker) => void,
): Promise<Worker> {
  for await (const _attempt of updateAttempts()) {
    const before = await loadWorker(db, orgId, workerId);
    if (before === null) throw notFound();
    admit(before);
    const given = typeof change === 'function' ? change(before) : change;
    const after = nextWorker(before, given, db.clock.now());
    const { guards, writes } = workerWrites(db, before, after);
    if (await commit(db.redis, guards, writes)) return after;
  }
  throw new ContendedError('worker');
}

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

/** @throws ApiError 403 for a pool the key is not for, 422 for one that is not there. */
async function requirePools(deps: ApiDeps, principal: KeyPrincipal, ids: readonly string[]): Promise<void> {
  const confined = !principal.pools.includes('*');
  if (confined && (ids.length === 0 || !ids.every((id) => principal.pools.includes(id))))
    throw new ApiError('pool_forbidden', 'The key may put workers only into its own pools.');
  const pools = await loadPools(deps.db, principal.org_id, ids);
  const missing = ids.flatMap((_id, index) =>
    pools[index] === null ? [{ pointer: `/pool_ids/${index}`, message: 'is not a pool of this org' }] : [],
  );
  if (missing.length > 0) throw invalid(...missing);
}

/** A worker as they and their managers see them. */
export function workerView(worker: Worker): object {
  const {
    org_id: _org,
    version: _version,
    holding,
    track,
    idle_since: _idle,
    created_at,
    updated_at,
    ...shown
  } = worker;
  return {
    ...shown,
    active_tasks: holding.length,
    rating_count: track.reviews,
    ...ratesOf(track),
    created_at: timestamp(created_at),
    updated_at: timestamp(updated_at),
  };
}

export function workerAnswer(worker: Worker, status = 200): Answer {
  return {
    status,
    body: workerView(worker),
    headers: {
      ETag: `"${worker.version}"`,
      ...(status === 201 && { Location: `/v1/workers/${worker.worker_id}` }),
    },
  };
}
