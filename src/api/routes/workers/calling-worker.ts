// The calling worker, by their own token: their record and availability.

import { AVAILABILITIES, drain } from '../../../state/workers/worker.ts';
import { merge } from '../../../store/redis/commit.ts';
import { changeWorker } from '../../../store/workers/workers.ts';
import { ownWorker } from '../../access/own-task.ts';
import type { WorkerPrincipal } from '../../access/principal.ts';
import { requireVersion } from '../../http/etag.ts';
import { notFound } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import { closed, word } from '../../http/schemas.ts';
import { type Call, route } from '../../route.ts';
import { workerResponse } from './worker-response.ts';
import { WorkerView } from './workers.schema.ts';

const access = { kind: 'worker' } as const;
const tag = 'Worker';

export const callingWorkerRoutes = [
  route({
    method: 'GET',
    path: '/v1/worker',
    access,
    tag,
    operationId: 'getOwnWorker',
    summary: 'Retrieve the calling worker',
    description: 'Shows the worker whose token this is.',
    responses: { 200: { description: 'The worker', schema: WorkerView, headers: ['ETag'] } },
    handler: async ({ deps, principal }) => workerResponse(await ownWorker(deps.db, principal), principal),
  }),
  route({
    method: 'PATCH',
    path: '/v1/worker',
    access,
    versioned: true,
    tag,
    operationId: 'updateOwnWorker',
    summary: 'Set my availability',
    description:
      'Only an `available` worker gets offers. Tasks in hand stay with a worker who is away or offline.',
    body: closed({
      availability: word(AVAILABILITIES, { description: 'Whether I take offers: only while `available`' }),
    }),
    responses: { 200: { description: 'The worker', schema: WorkerView, headers: ['ETag'] } },
    handler: (call) => changeSelf(call, call.body),
  }),
  route({
    method: 'POST',
    path: '/v1/worker/drain',
    access,
    versioned: true,
    tag,
    operationId: 'drainOwnWorker',
    summary: 'Finish my tasks, then go offline',
    description: 'I keep the current tasks and get no new offers; after the last task I am offline.',
    body: closed({}),
    bodyOptional: true,
    responses: { 200: { description: 'The worker', schema: WorkerView, headers: ['ETag'] } },
    handler: (call) => changeSelf(call, drain),
  }),
];

async function changeSelf(
  call: Pick<Call<WorkerPrincipal>, 'deps' | 'principal' | 'ifMatch' | 'credentialGuards'>,
  change: Parameters<typeof changeWorker>[3],
): Promise<HttpResponse> {
  const { principal, ifMatch } = call;
  const worker = await changeWorker(
    call.deps.db,
    call.principal.org_id,
    principal.worker_id,
    change,
    call.credentialGuards,
    async (before) => {
      requireVersion(before.version, ifMatch);
      return merge();
    },
  );
  if (worker === null) throw notFound();
  return workerResponse(worker, principal);
}
