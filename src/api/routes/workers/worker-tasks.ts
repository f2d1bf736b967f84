// The tasks of the calling worker: list, start, give back, submit.

import Type from 'typebox';
import { orgOf } from '../../../state/access/tenant.ts';
import { COPY_OUTPUT_BYTES, isLikeCopy } from '../../../state/tasks/copies.ts';
import { evidenceProblems } from '../../../state/tasks/evidence.ts';
import type { Task } from '../../../state/tasks/task.ts';
import { workerTaskView } from '../../../state/tasks/view.ts';
import type { Plan } from '../../../store/commands/change.ts';
import { evidenceFor, loadEvidence } from '../../../store/evidence/evidence.ts';
import { loadTasks } from '../../../store/tasks/tasks.ts';
import { isOwnTask, ownTask, ownWorker } from '../../access/own-task.ts';
import { wholeList } from '../../http/list.ts';
import { type FieldError, invalid } from '../../http/problem.ts';
import { closed, idOf, pageOf, Uuid } from '../../http/schemas.ts';
import { route } from '../../route.ts';
import { changeOwnTask, readForChange } from './own-task-change.ts';
import { oneTask, Reason, WorkerTask, workerTaskResponse } from './worker-task.schema.ts';

const access = { kind: 'worker' } as const;
const tag = 'Worker';
const Params = Type.Object({ task_id: idOf('task') });

export const workerTaskRoutes = [
  route({
    method: 'GET',
    path: '/v1/worker/tasks',
    access,
    tag,
    operationId: 'listAssignedTasks',
    summary: 'List the tasks assigned to me',
    description: 'Lists the accepted tasks that still count towards my capacity.',
    responses: { 200: { description: 'The tasks', schema: pageOf(WorkerTask) } },
    async handler({ deps, principal }) {
      const worker = await ownWorker(deps.db, principal);
      const stored = await loadTasks(deps.db, principal.org_id, worker.reservations);
      const mine = stored.filter((one) => one !== null && isOwnTask(one.task, principal));
      return wholeList(mine.map((one) => (one === null ? null : workerTaskView(one.task))));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/worker/tasks/{task_id}',
    access,
    tag,
    operationId: 'getAssignedTask',
    summary: 'Retrieve one of my tasks',
    description: 'Shows what I need to do the task, without anything that only its requester should know.',
    params: Params,
    responses: oneTask,
    handler: async ({ deps, principal, params }) =>
      workerTaskResponse((await ownTask(deps.db, principal, params.task_id)).task),
  }),
  route({
    method: 'POST',
    path: '/v1/worker/tasks/{task_id}/start',
    access,
    versioned: true,
    tag,
    operationId: 'startTask',
    summary: 'Start work on a task',
    description: 'A task that is accepted and not started in time goes back to the queue.',
    params: Params,
    body: closed({}),
    bodyOptional: true,
    responses: oneTask,
    errors: ['invalid_transition'],
    handler: (call) =>
      changeOwnTask(call, () => ({ commands: [{ name: 'start', worker_id: call.principal.worker_id }] })),
  }),
  route({
    method: 'POST',
    path: '/v1/worker/tasks/{task_id}/release',
    access,
    versioned: true,
    tag,
    operationId: 'releaseTask',
    summary: 'Give a task back to the queue',
    description: 'The task is offered to other workers. It costs the task one of its attempts.',
    params: Params,
    body: Reason,
    bodyOptional: true,
    responses: { 204: { description: 'Given back' } },
    errors: ['invalid_transition'],
    handler: (call) =>
      changeOwnTask(
        call,
        () => {
          const { worker_id } = call.principal;
          return { commands: [{ name: 'release', worker_id, reason: call.body.reason ?? null }] };
        },
        () => ({ status: 204 }),
      ),
  }),
  route({
    method: 'POST',
    path: '/v1/worker/tasks/{task_id}/submit',
    access,
    versioned: true,
    tag,
    operationId: 'submitTask',
    summary: 'Submit the result of a task',
    description:
      'An output that breaks the output schema is refused with the pointers of its errors, and the task stays started.',
    params: Params,
    body: closed({
      output: Type.Unknown({ description: 'The answer: JSON that fits the output schema, or text' }),
      notes: Type.Optional(Type.String({ maxLength: 20_000, description: 'Anything else to say about it' })),
      evidence_ids: Type.Optional(
        Type.Array(Uuid, {
          maxItems: 50,
          uniqueItems: true,
          description: 'Ids of uploaded files that belong to the answer',
        }),
      ),
    }),
    responses: oneTask,
    errors: ['invalid_transition'],
    async handler(call) {
      const { deps, principal, params, body } = call;
      const { org_id, worker_id } = principal;
      const ids = body.evidence_ids?.map((id) => id.toLowerCase());
      const [known, files] = await Promise.all([
        readForChange(deps.db, principal, params.task_id),
        ids?.length === 0 ? undefined : loadEvidence(deps.db, org_id, params.task_id),
      ]);
      let read = files;
      const plan = async (task: Task): Promise<Plan> => {
        const evidence = await evidenceFor(deps.db, task, principal, ids, read);
        // Read again on a retry: the files may have changed.
        read = undefined;
        const submission = { output: body.output, evidence: evidence.chosen, notes: body.notes ?? null };
        // In any other state the lifecycle rejects the command; that error matters more than errors of the output.
        if (task.status === 'started') {
          const problems = await deps.schemas.checkOutput(task.input.output, body.output, orgOf(task.org_id));
          const errors = [
            ...problems.map((one) => ({ ...one, pointer: `/output${one.pointer}` })),
            ...evidenceProblems(task, evidence),
            ...sizeProblems(task, body.output),
          ];
          if (errors.length > 0) throw invalid(...errors);
        }
        return { commands: [{ name: 'submit', worker_id, submission }], guards: evidence.guards };
      };
      return changeOwnTask(call, plan, workerTaskResponse, known);
    },
  }),
];

/** The answers to one task are stored together, so each is limited. */
function sizeProblems(task: Task, output: unknown): FieldError[] {
  if (!isLikeCopy(task) || Buffer.byteLength(JSON.stringify(output)) <= COPY_OUTPUT_BYTES) return [];
  return [{ pointer: '/output', message: `is over ${COPY_OUTPUT_BYTES / 1024} KiB` }];
}
