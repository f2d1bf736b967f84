// Schemas of the events that webhooks carry.

import Type, { type TSchema } from 'typebox';
import { idOf, label, nullable, time } from '../../http/schemas.ts';
import { TaskStatus } from './enums.schema.ts';
import { EVENT_DATA, nameOf, typeOf, unionByType } from './event-data.schema.ts';
import { Metadata } from './task-input.schema.ts';
import { Attempt } from './task-view.schema.ts';

/** What the `data` of every event of a task has. */
const common = {
  event_id: idOf('event'),
  sequence: Type.Integer({ minimum: 1, description: '1, 2, 3 … within the task' }),
  task_id: idOf('task'),
  org_id: idOf('org'),
  status: TaskStatus,
  previous_status: nullable(TaskStatus, 'State before the event; null for the first'),
  attempt_of_task: Attempt,
  origin: Type.Object(
    {
      product: label('The product or system that the task comes from'),
      request_id: label("The integrator's own id of the request"),
    },
    { $id: 'WebhookOrigin', description: 'Where the task comes from' },
  ),
  metadata: Metadata,
};

function eventSchema(type: string, data: Record<string, TSchema>): TSchema {
  return Type.Object(
    {
      type: typeOf(type),
      timestamp: time('When it happened'),
      data: Type.Object(data, { description: `What \`${type}\` tells` }),
    },
    { $id: `${nameOf(type)}Webhook`, description: `\`${type}\`` },
  );
}

export const WebhookEvent = unionByType('WebhookEvent', 'An event, by `type`', [
  ...Object.entries(EVENT_DATA).map(([type, data]) => eventSchema(type, { ...common, ...data })),
  eventSchema('webhook_endpoint.test', {
    event_id: idOf('event'),
    org_id: idOf('org'),
    endpoint_id: idOf('webhook endpoint'),
  }),
]);
