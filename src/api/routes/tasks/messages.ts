// Messages of a task, on the requester's side.

import { unreadBy } from '../../../state/tasks/conversation-status.ts';
import type { Task } from '../../../state/tasks/task.ts';
import { loadMessages } from '../../../store/tasks/messages.ts';
import { visibleTask } from '../../access/pool-visibility.ts';
import { route, scope } from '../../route.ts';
import * as schema from './messages.schema.ts';
import { changeAndRespond } from './task-response.ts';

const tag = 'Messages';
const path = '/v1/tasks/{task_id}/messages';

export const messageRoutes = [
  route({
    method: 'GET',
    path,
    access: scope('messages:read'),
    tag,
    operationId: 'listMessages',
    summary: 'List the messages of a task',
    description: 'The conversation between the requester and the worker, oldest first.',
    params: schema.Params,
    query: schema.Page,
    responses: schema.listed,
    async handler({ deps, principal, params, query }) {
      const { task } = await visibleTask(deps.db, principal, params.task_id);
      const messages = await loadMessages(deps.db, task);
      return schema.messagePage('requester', params.task_id, messages, query);
    },
  }),
  route({
    method: 'POST',
    path,
    access: scope('messages:write'),
    versioned: true,
    tag,
    operationId: 'sendMessage',
    summary: 'Write to the worker of a task',
    description: 'A message, a question, or the answer to the open question, on a task that is not final.',
    params: schema.Params,
    body: schema.NewMessage,
    rules: schema.messageRules,
    responses: schema.sent,
    errors: ['invalid_transition', 'question_open', 'question_not_open'],
    async handler(call) {
      const { deps, principal, params, body, actor } = call;
      const loaded = await visibleTask(deps.db, principal, params.task_id);
      const message = schema.newMessage(deps.db.clock.now(), { kind: 'requester', id: actor }, body);
      return changeAndRespond(call, loaded, [{ name: 'message', ...message }], (task) =>
        schema.messageResponse('requester', task, message),
      );
    },
  }),
  route({
    method: 'POST',
    path: `${path}/read`,
    access: scope('messages:write'),
    versioned: true,
    tag,
    operationId: 'markMessagesRead',
    summary: 'Mark messages as read',
    description: 'Notes how far the side of the requester has read; it sets `unread_messages` of the task.',
    params: schema.Params,
    body: schema.Read,
    responses: schema.read,
    errors: ['invalid_transition'],
    async handler(call) {
      const { deps, principal, params, body } = call;
      const loaded = await visibleTask(deps.db, principal, params.task_id);
      const responseFor = (task: Task) => schema.readResponse('requester', task);
      if (unreadBy('requester', loaded.task) === 0) return responseFor(loaded.task);
      const command = { name: 'read_messages', side: 'requester', through: body.through } as const;
      return changeAndRespond(call, loaded, [command], responseFor);
    },
  }),
];
