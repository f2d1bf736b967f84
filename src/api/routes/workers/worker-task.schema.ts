// A task as the worker sees it: its schema and the response with one task.

import Type from 'typebox';
import type { Task } from '../../../state/tasks/task.ts';
import { workerTaskView } from '../../../state/tasks/view.ts';
import type { Answer } from '../../http/answer.ts';
import { etag } from '../../http/etag.ts';
import { closed, nullable, Slug, Timestamp, Uuid } from '../../http/schemas.ts';
import type { Answers } from '../../route.ts';
import { TaskStatus } from '../tasks/enums.schema.ts';
import { Context, NotBefore, Output, Requirements, Sla } from '../tasks/task-input.schema.ts';
import {
  Assignment,
  Attempt,
  DisputableUntil,
  OpenQuestion,
  OwnDispute,
  Submission,
  UnreadMessages,
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
  task_id: Uuid,
  task_type: Slug,
  domain: Slug,
  title: Type.String(),
  instructions: Type.String(),
  not_before: Type.Optional(NotBefore),
  context: Type.Optional(Context),
  sla: Type.Object(WorkerSla, { $id: 'WorkerTaskSla' }),
  requirements: Type.Optional(Type.Object(Required, { $id: 'WorkerTaskRequirements' })),
  output: Type.Object(Asked, { $id: 'WorkerTaskOutput' }),
  attempt: Attempt,
  feedback: nullable(Type.String({ description: 'Of the last review' })),
  created_at: Timestamp,
  updated_at: Timestamp,
};

/** A task in an offer. */
export const OfferedTask = Type.Object(shown, { $id: 'OfferedTask' });

/** A task of the worker. */
export const WorkerTask = Type.Object(
  {
    ...shown,
    status: TaskStatus,
    version: Type.Integer(),
    assignment: nullable(Assignment),
    submission: nullable(Submission),
    dispute: nullable(OwnDispute),
    disputable_until: DisputableUntil,
    open_question: OpenQuestion,
    unread_messages: UnreadMessages,
  },
  { $id: 'WorkerTask' },
);

/** The body with which a worker declines an offer or gives a task back. */
export const Reason = closed({ reason: Type.Optional(Type.String({ maxLength: 2000 })) });

/** The answer of routes that return one task. */
export const oneTask: Answers = { 200: { description: 'The task', schema: WorkerTask, headers: ['ETag'] } };

/** The task as the worker sees it, with its version as ETag. */
export function workerTaskAnswer(task: Task): Answer {
  return { status: 200, body: workerTaskView(task), headers: { ETag: etag(task) } };
}
