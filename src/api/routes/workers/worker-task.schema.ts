// A task as the worker sees it: its schema and the response with one task.

import Type from 'typebox';
import type { Task } from '../../../state/tasks/task.ts';
import { workerTaskView } from '../../../state/tasks/view.ts';
import type { Answer } from '../../http/answer.ts';
import { etag } from '../../http/etag.ts';
import { closed, Uuid } from '../../http/schemas.ts';
import { Assignment, OpenQuestion, Submission, UnreadMessages } from '../tasks/task-view.schema.ts';

export const WorkerTask = Type.Object(
  {
    task_id: Uuid,
    title: Type.String(),
    instructions: Type.String(),
    attempt: Type.Integer(),
    feedback: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    assignment: Type.Optional(Type.Union([Assignment, Type.Null()])),
    submission: Type.Optional(Type.Union([Submission, Type.Null()])),
    open_question: Type.Optional(OpenQuestion),
    unread_messages: Type.Optional(UnreadMessages),
  },
  { $id: 'WorkerTask', additionalProperties: true },
);

/** The body with which a worker declines an offer or gives a task back. */
export const Reason = closed({ reason: Type.Optional(Type.String({ maxLength: 2000 })) });

/** The answer of routes that return one task. */
export const oneTask = { 200: { description: 'The task', schema: WorkerTask } };

/** The task as the worker sees it, with its version as ETag. */
export function workerTaskAnswer(task: Task): Answer {
  return { status: 200, body: workerTaskView(task), headers: { ETag: etag(task) } };
}
