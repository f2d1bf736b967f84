// A worker disputes the rejection that ended a task of theirs.

import { DISPUTE_DAYS } from '../../../state/tasks/dispute.ts';
import { closed } from '../../http/schemas.ts';
import { route } from '../../route.ts';
import { Params, PlainText } from '../tasks/messages.schema.ts';
import { changeOwnTask } from './own-task-change.ts';
import { oneTask } from './worker-task.schema.ts';

export const workerDisputeRoutes = [
  route({
    method: 'POST',
    path: '/v1/worker/tasks/{task_id}/dispute',
    access: { kind: 'worker' },
    versioned: true,
    tag: 'Worker',
    operationId: 'disputeRejection',
    summary: 'Dispute the rejection of a task',
    description: `Of a task that the rejection ended: once, and within ${DISPUTE_DAYS} days. Its rating does not count until a reviewer upholds it.`,
    params: Params,
    body: closed({ text: PlainText }),
    responses: oneTask,
    errors: ['task_not_rejected', 'already_disputed', 'dispute_too_late'],
    handler(call) {
      const { worker_id } = call.principal;
      const { text } = call.body;
      return changeOwnTask(call, () => ({ commands: [{ name: 'dispute', worker_id, text }] }));
    },
  }),
];
