// Tasks, as integrators create, follow and review them.

import Type from 'typebox';
import { answersOf } from '../../../state/tasks/copies.ts';
import { isFinal } from '../../../state/tasks/lifecycle.ts';
import { reviewCommands } from '../../../state/tasks/review-commands.ts';
import { reviewErrors } from '../../../state/tasks/reviewing.ts';
import type { Task } from '../../../state/tasks/task.ts';
import { taskView } from '../../../state/tasks/view.ts';
import { loadTask, loadWhole } from '../../../store/tasks/tasks.ts';
import { visibleTask } from '../../access/pool-visibility.ts';
import { etag } from '../../http/etag.ts';
import { invalid, notFound } from '../../http/problem.ts';
import { refusal } from '../../http/refusal.ts';
import type { HttpResponse } from '../../http/response.ts';
import { closed, idOf, OldestFirst, PageQuery, pageOf, word } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { ReviewDecision } from './enums.schema.ts';
import { History } from './history.schema.ts';
import { createWithinQuota } from './task-creation.ts';
import { TaskFilterFields } from './task-filters.schema.ts';
import { TaskCreate } from './task-input.schema.ts';
import { taskInput, taskRules } from './task-input.ts';
import { historyPage, listTasks, ORDERS } from './task-list.ts';
import { changeAndRespond, taskResponse } from './task-response.ts';
import { taskCompletion, typeOf } from './task-type-defaults.ts';
import * as schema from './task-view.schema.ts';

const Params = Type.Object({ task_id: idOf('task') });

export const taskRoutes = [
  route({
    method: 'POST',
    path: '/v1/tasks',
    access: scope('tasks:create'),
    tag: 'Tasks',
    adds: true,
    operationId: 'createTask',
    summary: 'Create a task',
    description:
      'Queues work for a person. A registered task type fills in what the body leaves out. Answers at once; follow the task with a webhook, the event stream, or `GET /v1/tasks/{task_id}?wait=60`.',
    body: TaskCreate,
    completion: taskCompletion,
    rules: taskRules,
    responses: {
      201: {
        description: 'The task, queued or scheduled',
        schema: schema.Task,
        headers: ['ETag', 'Location'],
      },
    },
    errors: ['org_mismatch'],
    async handler({ deps, principal, body, actor, callerGuards, recordResponse }) {
      const input = taskInput(deps, principal, body);
      const created = await createWithinQuota(deps, input, {
        org_id: principal.org_id,
        type: typeOf(body),
        actor,
        callerGuards,
        requirePool: true,
        extraWrites: (task) => recordResponse(() => createdResponse(task)),
      });
      if (!created.ok) throw refusal(created);
      return createdResponse(created.task);
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tasks',
    access: scope('tasks:read'),
    tag: 'Tasks',
    operationId: 'listTasks',
    summary: 'List tasks',
    description:
      'Filters of different names narrow the list; values of one filter widen it. The newest task comes first unless `order` or `order_by` says otherwise.',
    query: Type.Object(
      {
        ...TaskFilterFields,
        order_by: Type.Optional(
          word(ORDERS, {
            default: 'created_at',
            description:
              '`deadline`: open tasks (or those of `status`) that have one, the earliest first unless `order` says otherwise; at most 2000 may match the filters',
          }),
        ),
        ...PageQuery,
      },
      { additionalProperties: false },
    ),
    responses: { 200: { description: 'A page of tasks', schema: pageOf(schema.Task) } },
    handler: ({ deps, principal, query, signal }) => listTasks(deps, principal, query, signal()),
  }),
  route({
    method: 'GET',
    path: '/v1/tasks/{task_id}',
    access: scope('tasks:read'),
    tag: 'Tasks',
    operationId: 'getTask',
    summary: 'Retrieve a task',
    description:
      'With `wait`, answers when the task is completed, failed or cancelled, or when the time is up; look at `status` to tell.',
    params: Params,
    query: closed({ wait: Type.Optional(Type.Integer({ minimum: 1, maximum: 60, description: 'Seconds' })) }),
    responses: { 200: { description: 'The task', schema: schema.Task, headers: ['ETag'] } },
    async handler({ deps, principal, params, query, signal }) {
      const { task } = await visibleTask(deps.db, principal, params.task_id);
      if (query.wait === undefined || isFinal(task.status)) return taskResponse(task);
      const { task_id } = params;
      await deps.changes.waitFor(
        principal.org_id,
        (what) => what === `task ${task_id}`,
        async () => {
          const now = await loadTask(deps.db, principal.org_id, task_id);
          return now === null || isFinal(now.task.status) ? true : null;
        },
        query.wait * 1000,
        signal(),
      );
      return taskResponse((await visibleTask(deps.db, principal, task_id)).task);
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tasks/{task_id}/cancel',
    access: scope('tasks:cancel'),
    versioned: true,
    tag: 'Tasks',
    operationId: 'cancelTask',
    summary: 'Cancel a task',
    description:
      'Ends a task that has not been submitted; its worker is told and freed. From `submitted` on the answer is 409.',
    params: Params,
    body: closed({
      reason: Type.Optional(
        Type.String({ maxLength: 2000, description: 'Why; the worker and the history are told' }),
      ),
    }),
    bodyOptional: true,
    responses: { 200: { description: 'The task, cancelled', schema: schema.Task, headers: ['ETag'] } },
    errors: ['task_not_cancellable'],
    async handler(call) {
      const loaded = await visibleTask(call.deps.db, call.principal, call.params.task_id);
      return changeAndRespond(call, loaded, [{ name: 'cancel', reason: call.body.reason ?? null }]);
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tasks/{task_id}/review',
    access: scope('tasks:review'),
    versioned: true,
    tag: 'Tasks',
    operationId: 'reviewTask',
    summary: 'Review a submission',
    description:
      'Decides about a submitted task with manual review: `approve` completes it, `rework` sends it back to its worker, `reassign` to another one, `reject` fails it. A task that a worker has reported takes `reassign` or `reject`.',
    params: Params,
    body: closed({
      decision: ReviewDecision,
      feedback: Type.Optional(
        Type.String({
          maxLength: 20_000,
          description: 'Required for rework and reject: the worker reads it',
        }),
      ),
      rating: Type.Optional(
        Type.Number({
          minimum: 1,
          maximum: 5,
          description: "Quality of the work; counts towards the worker's rating",
        }),
      ),
      worker_id: Type.Optional(
        Type.String({
          maxLength: 64,
          description:
            'With approve, of a task with copies: whose answer is the result; default: that which most agree with',
        }),
      ),
    }),
    rules: async (body) => reviewErrors(body),
    responses: {
      200: { description: 'The task after the decision', schema: schema.Task, headers: ['ETag'] },
    },
    errors: ['invalid_transition'],
    async handler(call) {
      const loaded = await visibleTask(call.deps.db, call.principal, call.params.task_id);
      const { decision, rating = null, feedback = null, worker_id: answer_of } = call.body;
      requireAnswerOf(loaded.task, answer_of);
      const submitted_at = loaded.task.submission?.submitted_at;
      const review = { feedback, rating, submitted_at };
      return changeAndRespond(call, loaded, reviewCommands(loaded.task, decision, review, answer_of));
    },
  }),
  route({
    method: 'GET',
    path: '/v1/tasks/{task_id}/events',
    access: scope('tasks:read'),
    tag: 'Tasks',
    operationId: 'listTaskEvents',
    summary: 'List the history of a task',
    description:
      'Each entry holds the hash of the previous one, so that a changed or missing entry is detected; see docs/audit.md.',
    params: Params,
    query: closed(OldestFirst),
    responses: { 200: { description: 'The history', schema: History } },
    async handler({ deps, principal, params, query }) {
      await visibleTask(deps.db, principal, params.task_id);
      const whole = await loadWhole(deps.db, principal.org_id, params.task_id);
      if (whole === null) throw notFound();
      const { task, head: hash, history } = whole;
      const head = hash === '' ? null : { sequence: task.sequence, hash };
      return historyPage(history, head, params.task_id, query);
    },
  }),
];

/** Requires that the task has an answer of the worker. @throws ApiError 422 */
function requireAnswerOf(task: Task, worker_id: string | undefined): void {
  if (worker_id === undefined || answersOf(task).some((one) => one.worker_id === worker_id)) return;
  throw invalid({ pointer: '/worker_id', message: 'is not a worker whose answer the task has' });
}

function createdResponse(task: Task): HttpResponse {
  const headers = { Location: `/v1/tasks/${task.task_id}`, ETag: etag(task) };
  return { status: 201, body: taskView(task), headers };
}
