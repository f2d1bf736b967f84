// A worker reports a task to a reviewer.

import Type from 'typebox';
import { closed, described } from '../../http/schemas.ts';
import { route } from '../../route.ts';
import { ReportReason } from '../tasks/enums.schema.ts';
import { Params, PlainText } from '../tasks/messages.schema.ts';
import { changeOwnTask } from './own-task-change.ts';

export const workerReportRoutes = [
  route({
    method: 'POST',
    path: '/v1/worker/tasks/{task_id}/report',
    access: { kind: 'worker' },
    versioned: true,
    tag: 'Worker',
    operationId: 'reportTask',
    summary: 'Report a task',
    description:
      'Gives a task to a reviewer as abusive, unsafe or unclear. No worker gets it until they decide.',
    params: Params,
    body: closed({
      reason: ReportReason,
      text: Type.Optional(described(PlainText, 'What is wrong; plain text')),
    }),
    responses: { 204: { description: 'Reported' } },
    errors: ['invalid_transition'],
    handler(call) {
      const { worker_id } = call.principal;
      const { reason, text = null } = call.body;
      return changeOwnTask(
        call,
        () => ({ commands: [{ name: 'report', worker_id, reason, text }] }),
        () => ({ status: 204 }),
      );
    },
  }),
];
