// Messages of a task, on the side of the worker who holds it. A worker who has lost the task sees none of them.

import { hasOpenConversation, unreadBy } from '../../../state/tasks/conversation-status.ts';
import { loadMessages } from '../../../store/tasks/messages.ts';
import { ownTask } from '../../access/own-task.ts';
import { notFound } from '../../http/problem.ts';
import { route } from '../../route.ts';
import * as schema from '../tasks/messages.schema.ts';
import { changeOwnTask } from './own-task-change.ts';

const access = { kind: 'worker' } as const;
const tag = 'Messages';
const path = '/v1/worker/tasks/{task_id}/messages';

export const workerMessageRoutes = [
  route({
    method: 'GET',
    path,
    access,
    tag,
    operationId: 'listAssignedTaskMessages',
    summary: 'List the messages of one of my tasks',
    description: 'The conversation between me and the requester, oldest first.',
    params: schema.Params,
    query: schema.Page,
    responses: schema.listed,
    async handler({ deps, principal, params, query }) {
      const { task } = await ownTask(deps.db, principal, params.task_id);
      if (!hasOpenConversation(task)) throw notFound();
      const messages = await loadMessages(deps.db, task);
      return schema.messagePage('worker', params.task_id, messages, query);
    },
  }),
  route({
    method: 'POST',
    path,
    access,
    versioned: true,
    tag,
    operationId: 'sendAssignedTaskMessage',
    summary: 'Write to the requester of one of my tasks',
    description: 'A message, a question, or the answer to the open question.',
    params: schema.Params,
    body: schema.NewMessage,
    rules: schema.messageRules,
    responses: schema.sent,
    errors: ['invalid_transition', 'question_open', 'question_not_open'],
    handler(call) {
      const { deps, principal, body } = call;
      const author = { kind: 'worker', id: principal.worker_id } as const;
      const message = schema.newMessage(deps.db.clock.now(), author, body);
      return changeOwnTask(
        call,
        () => ({ commands: [{ name: 'message', ...message }] }),
        (task) => schema.messageResponse('worker', task, message),
      );
    },
  }),
  route({
    method: 'POST',
    path: `${path}/read`,
    access,
    versioned: true,
    tag,
    operationId: 'markAssignedTaskMessagesRead',
    summary: 'Mark messages of one of my tasks as read',
    description: 'Notes how far I have read; it sets `unread_messages` of my task.',
    params: schema.Params,
    body: schema.Read,
    responses: schema.read,
    errors: ['invalid_transition'],
    async handler(call) {
      const { deps, principal, params, body } = call;
      const { task } = await ownTask(deps.db, principal, params.task_id);
      if (!hasOpenConversation(task)) throw notFound();
      if (unreadBy('worker', task) === 0) return schema.readResponse('worker', task);
      return changeOwnTask(
        call,
        () => ({ commands: [{ name: 'read_messages', side: 'worker', through: body.through }] }),
        (changed) => schema.readResponse('worker', changed),
      );
    },
  }),
];
