// The offers of the calling worker: list, accept, decline.

import Type from 'typebox';
import type { Command } from '../../../state/tasks/command.ts';
import { OFFER_STATUSES } from '../../../state/tasks/offer.ts';
import type { Task } from '../../../state/tasks/task.ts';
import { offerView } from '../../../state/tasks/view.ts';
import type { Plan } from '../../../store/commands/change.ts';
import { mayShowTask, ownOffers, ownWorker, taskOfOwnOffer } from '../../access/own-task.ts';
import type { WorkerPrincipal } from '../../access/principal.ts';
import { requireVersion } from '../../http/etag.ts';
import { wholeList } from '../../http/list.ts';
import { notFound } from '../../http/problem.ts';
import type { HttpResponse } from '../../http/response.ts';
import { closed, idOf, pageOf, time, word } from '../../http/schemas.ts';
import { type Call, route } from '../../route.ts';
import { commandAndRespond } from '../tasks/task-response.ts';
import { readForChange } from './own-task-change.ts';
import { OfferedTask, oneTask, Reason, workerTaskResponse } from './worker-task.schema.ts';

const access = { kind: 'worker' } as const;
const tag = 'Worker';
const Params = Type.Object({ offer_id: idOf('offer') });
export const OfferView = Type.Object(
  {
    offer_id: idOf('offer'),
    task_id: idOf('task'),
    status: word(OFFER_STATUSES, { description: 'Whether the offer can still be accepted, or how it ended' }),
    offered_at: time('When the offer was made'),
    expires_at: time('When the offer expires'),
    task: OfferedTask,
  },
  { $id: 'Offer', description: 'A task that is offered to a worker' },
);

export const workerOfferRoutes = [
  route({
    method: 'GET',
    path: '/v1/worker/offers',
    access,
    tag,
    operationId: 'listOffers',
    summary: 'List my pending offers',
    description: 'With `wait`, answers when there is an offer, or when the time is up.',
    query: closed({ wait: Type.Optional(Type.Integer({ minimum: 1, maximum: 60, description: 'Seconds' })) }),
    responses: { 200: { description: 'The offers', schema: pageOf(OfferView) } },
    async handler({ deps, principal, query, signal }) {
      const [listed] = await Promise.all([ownOffers(deps.db, principal), ownWorker(deps.db, principal)]);
      let offers = listed;
      if (offers.length === 0 && query.wait !== undefined) {
        const { org_id, worker_id } = principal;
        const found = await deps.changes.waitFor(
          org_id,
          (what) => what === `worker ${worker_id}`,
          async () => {
            const list = await ownOffers(deps.db, principal);
            return list.length > 0 ? list : null;
          },
          query.wait * 1000,
          signal(),
        );
        offers = found ?? [];
      }
      return wholeList(offers.map(({ task, offer }) => offerView(task, offer)));
    },
  }),
  route({
    method: 'POST',
    path: '/v1/worker/offers/{offer_id}/accept',
    access,
    versioned: true,
    tag,
    operationId: 'acceptOffer',
    summary: 'Accept an offer',
    description:
      'The task is then mine. Of several workers with an offer of the task, the first to accept gets it; the others get 409.',
    params: Params,
    body: closed({}),
    bodyOptional: true,
    responses: oneTask,
    errors: ['offer_not_pending'],
    handler: (call) =>
      answerOffer(call, {
        name: 'accept',
        offer_id: call.params.offer_id,
        worker_id: call.principal.worker_id,
        incarnation: call.principal.incarnation,
      }),
  }),
  route({
    method: 'POST',
    path: '/v1/worker/offers/{offer_id}/decline',
    access,
    versioned: true,
    tag,
    operationId: 'declineOffer',
    summary: 'Decline an offer',
    description: 'The task is offered to someone else.',
    params: Params,
    body: closed({
      ...Reason.properties,
      retry_after_seconds: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 86_400,
          description:
            'When this task may be offered to me again. Default: after a cool-down of at most 30 s',
        }),
      ),
    }),
    bodyOptional: true,
    responses: { 204: { description: 'Declined' } },
    errors: ['offer_not_pending'],
    async handler(call) {
      const { offer_id } = call.params;
      const { worker_id } = call.principal;
      const { retry_after_seconds } = call.body;
      return answerOffer(
        call,
        { name: 'decline', offer_id, worker_id, reason: call.body.reason ?? null, retry_after_seconds },
        { status: 204 },
      );
    },
  }),
];

/** Accepts or declines an offer. @throws ApiError 404 for an offer of another worker, 409 when it is not pending */
async function answerOffer(
  call: Call<WorkerPrincipal, { offer_id: string }>,
  command: Command,
  response?: HttpResponse,
): Promise<HttpResponse> {
  const { deps, principal, params, ifMatch } = call;
  const task_id = await taskOfOwnOffer(deps.db, principal, params.offer_id);
  if (task_id === null) throw notFound();
  const plan = (task: Task): Plan => {
    if (!mayShowTask(task, principal)) throw notFound();
    requireVersion(task.version, ifMatch);
    return { commands: [command] };
  };
  const { org_id } = principal;
  const known = await readForChange(deps.db, principal, task_id);
  return commandAndRespond(
    call,
    { org_id, task_id },
    plan,
    (task) => response ?? workerTaskResponse(task),
    known,
  );
}
