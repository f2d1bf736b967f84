// Schemas of the SLA of a task.

import Type from 'typebox';
import { ESCALATION_CONDITIONS, type OnDeadline } from '../../../state/tasks/task.ts';
import { ClientId, closed, described, time, Uuid, word } from '../../http/schemas.ts';
import { Urgency } from './enums.schema.ts';

const ACTION = { description: 'What happens at the deadline' };
export const AfterSeconds = Type.Integer({
  minimum: 1,
  maximum: 31_536_000,
  description: 'Seconds after the start of the task (creation or not_before)',
});

export const Sla = {
  urgency: Urgency,
  deadline: Type.Optional(time('When the task must be done; what happens then says `on_deadline`')),
  target_latency_seconds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 31_536_000,
      description: 'Seconds from the start (creation or not_before) in which the work should be submitted',
    }),
  ),
  on_deadline: Type.Optional(
    Type.Unsafe<OnDeadline>({
      type: 'object',
      discriminator: { propertyName: 'action' },
      required: ['action'],
      properties: { action: { type: 'string' } },
      oneOf: [
        closed({ action: Type.Literal('fail', ACTION) }, 'FailAtDeadline', 'The task fails'),
        closed(
          {
            action: Type.Literal('complete', ACTION),
            output: Type.Unknown({ description: 'The result; it must fit the output schema' }),
          },
          'CompleteAtDeadline',
          'The task completes with a default output',
        ),
      ],
      description:
        'What happens at the deadline when no worker has accepted the task, and later when its work is given up; default: it fails',
    }),
  ),
  escalations: Type.Optional(
    Type.Array(
      closed(
        {
          after_seconds: AfterSeconds,
          while: word(ESCALATION_CONDITIONS, {
            description: 'unassigned: no worker has accepted; unfinished: there is no submission',
          }),
          urgency: Type.Optional(described(Urgency, 'Raises the urgency; never lowers it')),
          worker_pool_id: Type.Optional(described(ClientId, 'Pool that the task moves to')),
          notify_members: Type.Optional(
            Type.Array(Uuid, {
              minItems: 1,
              maxItems: 20,
              uniqueItems: true,
              description: 'Ids of members whom the event names',
            }),
          ),
        },
        'Escalation',
      ),
      {
        maxItems: 10,
        description:
          'By time. Each runs once, at this time after the start (creation or not_before), if its condition holds then',
      },
    ),
  ),
};
