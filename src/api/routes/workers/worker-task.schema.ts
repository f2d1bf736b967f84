// A task as the worker sees it: its schema and the response with one task.

import Type from 'typebox';
import type { Task } from '../../../state/tasks/task.ts';
import { workerTaskView } from '../../../state/tasks/view.ts';
import { etag } from '../../http/etag.ts';
import type { HttpResponse } from '../../http/response.ts';
import { CreatedAt, closed, idOf, nullable, UpdatedAt } from '../../http/schemas.ts';
import type { Responses } from '../../route.ts';
import { TaskStatus } from '../tasks/enums.schema.ts';
import { Context, Domain, Instructions, NotBefore, TaskTypeName, Title } from '../tasks/task-input.schema.ts';
import { Output } from '../tasks/task-output.schema.ts';
import { Requirements } from '../tasks/task-requirements.schema.ts';
import { Assignment, Submission } from '../tasks/task-result.schema.ts';
import { Sla } from '../tasks/task-sla.schema.ts';
import {
  Attempt,
  DisputableUntil,
  OpenQuestion,
  OwnDispute,
  UnreadMessages,
  Version,
} from '../tasks/task-view.schema.ts';

const { on_deadline: _default, escalations: _escalations, ...WorkerSla } = Sla;
const { gold: _gold, copies: _copies, ...Asked } = Output.properties;
const {
  worker_ids: _only,
  excluded_worker_ids: _not,
  excluded_tasks: _tasks,
  ...Required
} = Requirements.properties;

/** What a worker is told of a task before and after they accept it. */
const shown = {
  task_id: idOf('task'),
  task_type: TaskTypeName,
  domain: Domain,
  title: Title,
  instructions: Instructions,
  not_before: Type.Optional(NotBefore),
  context: Type.Optional(Context),
  sla: Type.Object(WorkerSla, { $id: 'WorkerTaskSla', description: 'Urgency and due times' }),
  requirements: Type.Optional(
    Type.Object(Required, {
      $id: 'WorkerTaskRequirements',
      description: 'What a worker must have to be offered the task',
    }),
  ),
  output: Type.Object(Asked, { $id: 'WorkerTaskOutput', description: 'The answer that is asked for' }),
  attempt: Attempt,
  feedback: nullable(Type.String({ description: 'Of the last review' })),
  created_at: CreatedAt,
  updated_at: UpdatedAt,
};

/** A task in an offer. */
export const OfferedTask = Type.Object(shown, {
  $id: 'OfferedTask',
  description: 'A task that is offered to a worker',
});

/** A task of the worker. */
export const WorkerTask = Type.Object(
  {
    ...shown,
    status: TaskStatus,
    version: Version,
    assignment: nullable(Assignment, 'When the worker got the task; null when they no longer have it'),
    submission: nullable(Submission, 'What the worker handed in; null before'),
    dispute: nullable(OwnDispute, 'Their dispute of the rejection; null for none'),
    disputable_until: DisputableUntil,
    open_question: OpenQuestion,
    unread_messages: UnreadMessages,
  },
  { $id: 'WorkerTask', description: 'A task as its worker sees it' },
);

/** The body with which a worker declines an offer or gives a task back. */
export const Reason = closed({
  reason: Type.Optional(Type.String({ maxLength: 2000, description: 'Why; recorded in the history' })),
});

/** The response of routes that return one task. */
export const oneTask: Responses = { 200: { description: 'The task', schema: WorkerTask, headers: ['ETag'] } };

/** The task as the worker sees it, with its version as ETag. */
export function workerTaskResponse(task: Task): HttpResponse {
  return { status: 200, body: workerTaskView(task), headers: { ETag: etag(task) } };
}
