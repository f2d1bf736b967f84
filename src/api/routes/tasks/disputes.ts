// A reviewer decides on the dispute of a rejection.

import Type from 'typebox';
import { DISPUTE_DECISIONS } from '../../../state/tasks/dispute.ts';
import { visibleTask } from '../../access/pool-visibility.ts';
import { closed, described, word } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { Params, PlainText } from './messages.schema.ts';
import { changeAndRespond } from './task-response.ts';
import * as schema from './task-view.schema.ts';

export const disputeRoutes = [
  route({
    method: 'POST',
    path: '/v1/tasks/{task_id}/dispute/resolve',
    access: scope('tasks:review'),
    versioned: true,
    tag: 'Tasks',
    operationId: 'resolveDispute',
    summary: 'Resolve a dispute',
    description: "Decides on a worker's dispute of a rejection. The task stays failed.",
    params: Params,
    body: closed({
      decision: word(DISPUTE_DECISIONS, {
        description:
          'uphold: the rating of the rejection counts again; overturn: it no longer counts for the worker',
      }),
      text: Type.Optional(described(PlainText, 'What the worker is told; plain text')),
    }),
    responses: {
      200: { description: 'The task after the decision', schema: schema.Task, headers: ['ETag'] },
    },
    errors: ['dispute_not_open'],
    async handler(call) {
      const loaded = await visibleTask(call.deps.db, call.principal, call.params.task_id);
      const { decision, text = null } = call.body;
      return changeAndRespond(call, loaded, [{ name: 'resolve_dispute', decision, text }]);
    },
  }),
];
