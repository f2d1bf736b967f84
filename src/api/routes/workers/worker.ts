// What workers see and do with their own token: availability, offers and tasks.

import Type from 'typebox';
import { orgOf } from '../../../state/access/tenant.ts';
import type { Command } from '../../../state/tasks/command.ts';
import { evidenceProblems } from '../../../state/tasks/evidence.ts';
import type { Task } from '../../../state/tasks/task.ts';
import { offerView, workerTaskView } from '../../../state/tasks/view.ts';
import { AVAILABILITIES, drain } from '../../../state/workers/worker.ts';
import { changeTask, type Plan } from '../../../store/commands/change.ts';
import { evidenceFor } from '../../../store/evidence/evidence.ts';
import { merge } from '../../../store/redis/commit.ts';
import { taskOfOffer } from '../../../store/tasks/offers.ts';
import { loadTasks } from '../../../store/tasks/tasks.ts';
import { changeWorker } from '../../../store/workers/workers.ts';
import { isOwnTask, mayShowTask, ownOffers, ownTask, ownWorker } from '../../access/own-task.ts';
import type { WorkerPrincipal } from '../../access/principal.ts';
import type { Answer } from '../../http/answer.ts';
import { etag, requireVersion } from '../../http/etag.ts';
import { invalid, notFound } from '../../http/problem.ts';
import { refusal } from '../../http/refusal.ts';
import { closed, listAnswer, Timestamp, Uuid, word } from '../../http/schemas.ts';
import { type Call, route } from '../../route.ts';
import { Assignment, Submission } from '../tasks/tasks.schema.ts';
import { WorkerView, workerAnswer } from './workers.ts';

const access = { kind: 'worker' } as const;
const tag = 'Worker';
const OfferParams = Type.Object({ offer_id: Uuid });
const TaskParams = Type.Object({ task_id: Uuid });
const Reason = closed({ reason: Type.Optional(Type.String({ maxLength: 2000 })) });

const WorkerTask = Type.Object(
  {
    task_id: Uuid,
    title: Type.String(),
    instructions: Type.String(),
    attempt: Type.Integer(),
    feedback: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    assignment: Type.Optional(Type.Union([Assignment, Type.Null()])),
    submission: Type.Optional(Type.Union([Submission, Type.Null()])),
  },
  { $id: 'WorkerTask', additionalProperties: true },
);
const OfferView = Type.Object(
  {
    offer_id: Uuid,
    task_id: Uuid,
    status: Type.String(),
    offered_at: Timestamp,
    expires_at: Timestamp,
    task: WorkerTask,
  },
  { $id: 'Offer' },
);
const oneTask = { 200: { description: 'The task', schema: WorkerTask } };

export const humanRoutes = [
  route({
    method: 'GET',
    path: '/v1/worker',
    access,
    tag,
    summary: 'Retrieve the calling worker',
    answers: { 200: { description: 'The worker', schema: WorkerView } },
    handler: async ({ deps, principal }) => workerAnswer(await ownWorker(deps.db, principal), principal),
  }),
  route({
    method: 'PATCH',
    path: '/v1/worker',
    access,
    versioned: true,
    tag,
    summary: 'Set my availability',
    body: closed({ availability: word(AVAILABILITIES) }),
    answers: { 200: { description: 'The worker', schema: WorkerView } },
    handler: (call) => changeSelf(call, call.body),
  }),
  route({
    method: 'POST',
    path: '/v1/worker/drain',
    access,
    versioned: true,
    tag,
    summary: 'Drain: finish my current tasks, get no new offers, then go offline',
    body: closed({}),
    bodyOptional: true,
    answers: { 200: { description: 'The worker', schema: WorkerView } },
    handler: (call) => changeSelf(call, drain),
  }),
  route({
    method: 'GET',
    path: '/v1/worker/offers',
    access,
    tag,
    summary: 'List my pending offers; with wait, answers when there is one or the time is up',
    query: closed({ wait: Type.Optional(Type.Integer({ minimum: 1, maximum: 60, description: 'Seconds' })) }),
    answers: { 200: { description: 'The offers', schema: listAnswer(OfferView) } },
    async handler({ deps, principal, query, signal }) {
      await ownWorker(deps.db, principal);
      let offers = await ownOffers(deps.db, principal);
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
      return list(offers.map(({ task, offer }) => offerView(task, offer)));
    },
  }),
  route({
    method: 'POST',
    path: '/v1/worker/offers/{offer_id}/accept',
    access,
    versioned: true,
    tag,
    summary: 'Accept an offer',
    params: OfferParams,
    body: closed({}),
    bodyOptional: true,
    answers: oneTask,
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
    summary: 'Decline an offer',
    params: OfferParams,
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
    answers: { 204: { description: 'Declined' } },
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
  route({
    method: 'GET',
    path: '/v1/worker/tasks',
    access,
    tag,
    summary: 'List the tasks assigned to me',
    answers: { 200: { description: 'The tasks', schema: listAnswer(WorkerTask) } },
    async handler({ deps, principal }) {
      const worker = await ownWorker(deps.db, principal);
      const stored = await loadTasks(deps.db, principal.org_id, worker.reservations);
      const mine = stored.filter((one) => one !== null && isOwnTask(one.task, principal));
      return list(mine.map((one) => (one === null ? null : workerTaskView(one.task))));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/worker/tasks/{task_id}',
    access,
    tag,
    summary: 'Retrieve one of my tasks',
    params: TaskParams,
    answers: oneTask,
    handler: async ({ deps, principal, params }) =>
      taskAnswer((await ownTask(deps.db, principal, params.task_id)).task),
  }),
  route({
    method: 'POST',
    path: '/v1/worker/tasks/{task_id}/start',
    access,
    versioned: true,
    tag,
    summary: 'Start work on a task',
    params: TaskParams,
    body: closed({}),
    bodyOptional: true,
    answers: oneTask,
    handler: (call) =>
      work(call, () => ({ commands: [{ name: 'start', worker_id: call.principal.worker_id }] })),
  }),
  route({
    method: 'POST',
    path: '/v1/worker/tasks/{task_id}/release',
    access,
    versioned: true,
    tag,
    summary: 'Give a task back to the queue',
    params: TaskParams,
    body: Reason,
    bodyOptional: true,
    answers: { 204: { description: 'Given back' } },
    handler: (call) =>
      work(
        call,
        () => {
          const { worker_id } = call.principal;
          return { commands: [{ name: 'release', worker_id, reason: call.body.reason ?? null }] };
        },
        { status: 204 },
      ),
  }),
  route({
    method: 'POST',
    path: '/v1/worker/tasks/{task_id}/submit',
    access,
    versioned: true,
    tag,
    summary: 'Submit the result; if it breaks the output schema it is rejected and the task stays started',
    params: TaskParams,
    body: closed({
      output: Type.Unknown(),
      notes: Type.Optional(Type.String({ maxLength: 20_000 })),
      evidence_ids: Type.Optional(Type.Array(Uuid, { maxItems: 50, uniqueItems: true })),
    }),
    answers: oneTask,
    async handler(call) {
      const { deps, principal, body } = call;
      const { worker_id } = principal;
      return work(call, async (task) => {
        const evidence = await evidenceFor(
          deps.db,
          task,
          principal,
          body.evidence_ids?.map((id) => id.toLowerCase()),
        );
        const submission = { output: body.output, evidence: evidence.chosen, notes: body.notes ?? null };
        // In any other state the lifecycle rejects the command; that error matters more than errors of the output.
        if (task.status === 'started') {
          const problems = await deps.schemas.checkOutput(task.input.output, body.output, orgOf(task.org_id));
          const errors = [
            ...problems.map((one) => ({ ...one, pointer: `/output${one.pointer}` })),
            ...evidenceProblems(task, evidence),
          ];
          if (errors.length > 0) throw invalid(...errors);
        }
        return { commands: [{ name: 'submit', worker_id, submission }], guards: [evidence.guard] };
      });
    },
  }),
];

async function changeSelf(
  call: Pick<HumanCall<unknown>, 'deps' | 'principal' | 'ifMatch' | 'credentialGuards'>,
  change: Parameters<typeof changeWorker>[3],
): Promise<Answer> {
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
  return workerAnswer(worker, principal);
}

type HumanCall<P> = Call<WorkerPrincipal, P>;

/** Accepts or declines an offer. @throws ApiError 404 for an offer of another worker, 409 when it is not pending */
async function answerOffer(
  { deps, principal, params, ifMatch, actor, recordAnswer }: HumanCall<{ offer_id: string }>,
  command: Command,
  answer?: Answer,
): Promise<Answer> {
  const { org_id, worker_id } = principal;
  const taskId = await taskOfOffer(deps.db, org_id, worker_id, params.offer_id);
  if (taskId === null) throw notFound();
  const plan = (task: Task): Plan => {
    if (!mayShowTask(task, principal)) throw notFound();
    requireVersion(task.version, ifMatch);
    return { commands: [command] };
  };
  const changed = await changeTask(deps.db, org_id, taskId, plan, {
    actor,
    extraWrites: (task) => recordAnswer(answer ?? taskAnswer(task)),
  });
  if (!changed.ok) throw refusal(changed);
  return answer ?? taskAnswer(changed.task);
}

/**
 * Changes one of the worker's own tasks. `changeTask` loads the task, once per attempt.
 * @param plan plans the change for the version that the commit guards.
 * @throws ApiError 404 for the task of another worker, 412, or the refusal of the lifecycle
 */
async function work(
  { deps, principal, params, ifMatch, actor, recordAnswer }: HumanCall<{ task_id: string }>,
  plan: (task: Task) => Plan | Promise<Plan>,
  answer?: Answer,
): Promise<Answer> {
  const planOwn = (task: Task) => {
    if (!isOwnTask(task, principal)) throw notFound();
    requireVersion(task.version, ifMatch);
    return plan(task);
  };
  const changed = await changeTask(deps.db, principal.org_id, params.task_id, planOwn, {
    actor,
    extraWrites: (task) => recordAnswer(answer ?? taskAnswer(task)),
  });
  if (!changed.ok) throw refusal(changed);
  return answer ?? taskAnswer(changed.task);
}

function list(data: unknown[]): Answer {
  return { status: 200, body: { data, has_more: false, next_cursor: null } };
}

function taskAnswer(task: Task): Answer {
  return { status: 200, body: workerTaskView(task), headers: { ETag: etag(task) } };
}
