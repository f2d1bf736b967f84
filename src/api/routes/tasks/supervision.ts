// What the lead of a team may do with a task: change it, take it back, and give it to a worker.

import Type from 'typebox';
import { isFinal } from '../../../state/tasks/lifecycle.ts';
import { ASSIGN_MODES } from '../../../state/tasks/offer.ts';
import type { TaskPatch } from '../../../state/tasks/patch.ts';
import { poolOf, type Task } from '../../../state/tasks/task.ts';
import type { Obstacle } from '../../../state/workers/explain.ts';
import { planAssignment } from '../../../store/commands/assign-task.ts';
import { changeTask, type Plan } from '../../../store/commands/change.ts';
import { patchProblem, planUpdate } from '../../../store/commands/update-task.ts';
import { loadWorker } from '../../../store/workers/workers.ts';
import { maySeeWorker, visibleTask } from '../../access/pool-visibility.ts';
import { maySeePool } from '../../access/principal.ts';
import { ApiError, invalid, notFound } from '../../http/problem.ts';
import { problemError, refusal } from '../../http/refusal.ts';
import { closed, idOf, WorkerId, word } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { TaskUpdate } from './task-input.schema.ts';
import { normalised, referenceErrors, timeErrors } from './task-input.ts';
import { changeAndRespond, taskResponse } from './task-response.ts';
import * as schema from './task-view.schema.ts';

const Params = Type.Object({ task_id: idOf('task') });
const Reason = Type.String({ minLength: 1, maxLength: 2000, description: 'Why; recorded in the history' });
const NO_WORKER = { pointer: '/worker_id', message: 'is not a worker of this org' };

export const supervisionRoutes = [
  route({
    method: 'PATCH',
    path: '/v1/tasks/{task_id}',
    access: scope('tasks:update'),
    versioned: true,
    tag: 'Tasks',
    operationId: 'updateTask',
    summary: 'Update a task',
    description:
      'A JSON merge patch of the SLA, requirements and metadata of a task that is not final: null removes a member.',
    params: Params,
    body: TaskUpdate,
    rules: async (body, { deps, principal }) => [
      ...timeErrors(body, deps.db.clock.now()),
      ...(principal.kind === 'api_key' ? await referenceErrors(deps, principal, body) : []),
    ],
    responses: { 200: { description: 'The task after the change', schema: schema.Task, headers: ['ETag'] } },
    errors: ['invalid_transition', 'quota_exceeded'],
    async handler({ deps, principal, params, body, ifMatch, actor, callerGuards }) {
      const loaded = await visibleTask(deps.db, principal, params.task_id);
      const patch = taskPatch(body);
      let unchanged: Task | null = null;
      const changed = await changeTask(
        deps.db,
        principal.org_id,
        params.task_id,
        async (task) => {
          const problem = await patchProblem(deps.db, task, patch, principal.pools);
          if (problem !== null) throw problemError(problem);
          const plan = await planUpdate(deps.db, task, patch);
          unchanged = plan === null ? task : null;
          return plan;
        },
        { actor, callerGuards, ifVersion: ifMatch, loaded },
      );
      if (changed.ok) return taskResponse(changed.task);
      if (unchanged !== null) return taskResponse(unchanged);
      throw refusal(changed);
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tasks/{task_id}/requeue',
    access: scope('tasks:assign'),
    versioned: true,
    tag: 'Tasks',
    operationId: 'requeueTask',
    summary: 'Queue a task again',
    description:
      'Takes the task back from its worker, or from those it is offered to. Its age in the queue is kept.',
    params: Params,
    body: closed({ reason: Reason }),
    responses: { 200: { description: 'The task, queued', schema: schema.Task, headers: ['ETag'] } },
    errors: ['invalid_transition'],
    async handler(call) {
      const { deps, principal, params, body } = call;
      const loaded = await visibleTask(deps.db, principal, params.task_id);
      const plan = (task: Task): Plan => {
        if (!maySeePool(principal, poolOf(task))) throw notFound();
        return { commands: [{ name: 'requeue', reason: body.reason }] };
      };
      return changeAndRespond(call, loaded, plan);
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tasks/{task_id}/assign',
    access: scope('tasks:assign'),
    versioned: true,
    tag: 'Tasks',
    operationId: 'assignTask',
    summary: 'Give a task to a named worker',
    description:
      'Offers or assigns the task to this worker and takes it from those who have it. A worker who is not eligible is refused with the reasons, unless `force` is given.',
    params: Params,
    body: closed({
      worker_id: WorkerId,
      mode: Type.Optional(
        word(ASSIGN_MODES, {
          default: 'offer',
          description: 'offer: the worker may decline. assign: the worker has the task at once',
        }),
      ),
      force: Type.Optional(
        Type.Boolean({
          default: false,
          description:
            'Also if the worker is not eligible, but never past an exclusion or above their capacity',
        }),
      ),
    }),
    responses: {
      200: { description: 'The task, offered or accepted', schema: schema.Task, headers: ['ETag'] },
    },
    errors: ['invalid_transition', 'worker_not_eligible'],
    async handler(call) {
      const { deps, principal, params, body } = call;
      const { mode = 'offer', force = false, worker_id } = body;
      const loaded = await visibleTask(deps.db, principal, params.task_id);
      const plan = async (task: Task): Promise<Plan> => {
        if (!maySeePool(principal, poolOf(task))) throw notFound();
        const worker = await loadWorker(deps.db, principal.org_id, worker_id);
        if (worker === null || !maySeeWorker(principal, worker)) throw invalid(NO_WORKER);
        if (task.assignment?.worker_id === worker_id && !isFinal(task.status))
          throw new ApiError('invalid_transition', 'The worker has the task already.');
        const planned = await planAssignment(deps.db, task, worker, { mode, force });
        if ('obstacles' in planned) throw notEligible(planned.obstacles);
        return planned;
      };
      return changeAndRespond(call, loaded, plan);
    },
  }),
];

function notEligible(obstacles: readonly Obstacle[]): ApiError {
  const named = obstacles.map(({ reason, wanted }) =>
    wanted === undefined || Array.isArray(wanted) ? reason : `${reason} ${wanted}`,
  );
  return new ApiError('worker_not_eligible', `The worker is not eligible: ${named.join(', ')}.`, {
    reasons: obstacles,
  });
}

/** The patch that the body asks for. */
export function taskPatch(body: TaskUpdate): TaskPatch {
  return { ...body, ...(body.sla !== undefined && { sla: slaPatch(body.sla) }) };
}

function slaPatch(given: NonNullable<TaskPatch['sla']>): NonNullable<TaskPatch['sla']> {
  const { deadline } = given;
  return { ...given, ...(typeof deadline === 'string' && { deadline: normalised(deadline) }) };
}
