// What the lead of a team may do with a task: change it, take it back, and give it to a worker.

import Type from 'typebox';
import { isFinal } from '../../../state/tasks/lifecycle.ts';
import { ASSIGN_MODES } from '../../../state/tasks/offer.ts';
import { patched, type TaskPatch } from '../../../state/tasks/patch.ts';
import { dueAt, poolOf, startsAt, type Task } from '../../../state/tasks/task.ts';
import type { Obstacle } from '../../../state/workers/explain.ts';
import { planAssignment } from '../../../store/commands/assign-task.ts';
import { changeTask, type Plan } from '../../../store/commands/change.ts';
import { planUpdate } from '../../../store/commands/update-task.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { loadPool } from '../../../store/workers/pools.ts';
import { loadWorker } from '../../../store/workers/workers.ts';
import { type KeyPrincipal, maySeePool } from '../../access/principal.ts';
import { maySeeWorker, visibleTask } from '../../access/visible.ts';
import { ApiError, type FieldError, invalid, notFound } from '../../http/problem.ts';
import { NO_POOL, refusal } from '../../http/refusal.ts';
import { ClientId, closed, idOf, word } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { stepErrors } from './relaxation-rules.ts';
import { METADATA_MAX, TaskUpdate } from './task-input.schema.ts';
import { DUE_TOO_EARLY, normalised, poolErrors, timeErrors } from './task-input.ts';
import * as schema from './task-view.schema.ts';
import { taskAnswer } from './tasks.ts';

const Params = Type.Object({ task_id: idOf('task') });
const Reason = Type.String({ minLength: 1, maxLength: 2000 });
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
      ...(principal.kind === 'api_key' ? await poolErrors(deps, principal, body) : []),
    ],
    answers: { 200: { description: 'The task after the change', schema: schema.Task } },
    async handler({ deps, principal, params, body, ifMatch, actor, callerGuards }) {
      const loaded = await visibleTask(deps.db, principal, params.task_id);
      const patch: TaskPatch = { ...body, ...(body.sla !== undefined && { sla: slaPatch(body.sla) }) };
      let unchanged: Task | null = null;
      const changed = await changeTask(
        deps.db,
        principal.org_id,
        params.task_id,
        async (task) => {
          await requirePatchable(deps.db, principal, task, patch);
          const plan = await planUpdate(deps.db, task, patch);
          unchanged = plan === null ? task : null;
          return plan;
        },
        { actor, callerGuards, ifVersion: ifMatch, loaded },
      );
      if (changed.ok) return taskAnswer(changed.task);
      if (unchanged !== null) return taskAnswer(unchanged);
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
    answers: { 200: { description: 'The task, queued', schema: schema.Task } },
    async handler({ deps, principal, params, body, ifMatch, actor, callerGuards, recordAnswer }) {
      const loaded = await visibleTask(deps.db, principal, params.task_id);
      const plan = (task: Task): Plan => {
        if (!maySeePool(principal, poolOf(task))) throw notFound();
        return { commands: [{ name: 'requeue', reason: body.reason }] };
      };
      const changed = await changeTask(deps.db, principal.org_id, params.task_id, plan, {
        actor,
        callerGuards,
        ifVersion: ifMatch,
        loaded,
        extraWrites: (task) => recordAnswer(taskAnswer(task)),
      });
      if (!changed.ok) throw refusal(changed);
      return taskAnswer(changed.task);
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
      worker_id: ClientId,
      mode: Type.Optional(word(ASSIGN_MODES, { default: 'offer' })),
      force: Type.Optional(
        Type.Boolean({
          default: false,
          description: 'Also if the worker is not eligible, but never above their capacity',
        }),
      ),
    }),
    answers: { 200: { description: 'The task, offered or accepted', schema: schema.Task } },
    async handler({ deps, principal, params, body, ifMatch, actor, callerGuards, recordAnswer }) {
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
      const changed = await changeTask(deps.db, principal.org_id, params.task_id, plan, {
        actor,
        callerGuards,
        ifVersion: ifMatch,
        loaded,
        extraWrites: (task) => recordAnswer(taskAnswer(task)),
      });
      if (!changed.ok) throw refusal(changed);
      return taskAnswer(changed.task);
    },
  }),
];

function notEligible(obstacles: readonly Obstacle[]): ApiError {
  const named = obstacles.map(({ reason, wanted }) =>
    wanted === undefined ? reason : `${reason} ${wanted}`,
  );
  return new ApiError('worker_not_eligible', `The worker is not eligible: ${named.join(', ')}.`, {
    reasons: obstacles,
  });
}

function slaPatch(given: NonNullable<TaskPatch['sla']>): NonNullable<TaskPatch['sla']> {
  const { deadline } = given;
  return { ...given, ...(typeof deadline === 'string' && { deadline: normalised(deadline) }) };
}

/**
 * Requires that the task, as it would be, keeps the rules of a new one, and that the key may see it before and after.
 * @throws ApiError 403 `pool_forbidden`, 404, 422
 */
async function requirePatchable(
  db: Db,
  principal: KeyPrincipal,
  task: Task,
  patch: TaskPatch,
): Promise<void> {
  if (!maySeePool(principal, poolOf(task))) throw notFound();
  const after = { ...task, input: patched(task.input, patch) };
  const { requirements, metadata } = after.input;
  const pool = requirements?.worker_pool_id ?? null;
  if (!maySeePool(principal, pool))
    throw new ApiError('pool_forbidden', 'The key may move tasks only to its own pools.');
  const isMoved = pool !== null && pool !== poolOf(task);
  if (isMoved && (await loadPool(db, task.org_id, pool)) === null) throw invalid(NO_POOL);
  const errors: FieldError[] = patch.requirements === undefined ? [] : stepErrors(requirements);
  if (patch.sla?.deadline !== undefined && (dueAt(after, 'deadline') ?? Infinity) <= startsAt(task))
    errors.push(DUE_TOO_EARLY);
  if (Object.keys(metadata ?? {}).length > METADATA_MAX)
    errors.push({ pointer: '/metadata', message: `must have at most ${METADATA_MAX} members` });
  if (errors.length > 0) throw invalid(...errors);
}
