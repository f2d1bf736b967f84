// The webhooks of the OpenAPI document: one request, whose body is a union of all event types.

import Type, { type TSchema } from 'typebox';
import type { EventType } from '../../state/tasks/lifecycle.ts';
import { nullable, Timestamp, Uuid } from '../http/schemas.ts';
import type { Components, Json } from './components.ts';

/** A named schema of the routes. */
const named = (name: string) => Type.Unsafe<unknown>({ $ref: `#/components/schemas/${name}` });
const Id = Type.String();
const Text = Type.String();
/** What a reviewer or another caller said. */
const said = {
  detail: Type.Optional(Type.String({ description: 'The reason that a caller gave' })),
  rating: Type.Optional(Type.Number({ description: "The reviewer's rating" })),
};
const offer = { offer_id: Uuid, worker_id: Id, expires_at: Timestamp };
const message = { message_id: Uuid, author: named('Author'), text: Text };

/** What the `data` of an event has beside the common members. */
const DATA: Record<EventType, Record<string, TSchema>> = {
  'task.created': {},
  'task.queued': {
    reason: Text,
    worker_id: Type.Optional(Id),
    offer_id: Type.Optional(Id),
    pool_id: Type.Optional(Id),
    ...said,
  },
  'task.matched': { worker_id: Id, worker_ids: Type.Optional(Type.Array(Id)) },
  'task.offered': { ...offer, offers: Type.Optional(Type.Array(Type.Object(offer))) },
  'task.accepted': { worker_id: Id, offer_id: Uuid },
  'task.started': { worker_id: Id, reason: Type.Optional(Text), ...said },
  'task.submitted': { worker_id: Id },
  'task.verified': { mode: Type.Optional(Text), ...said },
  'task.completed': {
    result: Type.Union([named('Submission'), named('CopiesResult'), named('DefaultResult')]),
  },
  'task.failed': { failure: named('TaskFailure') },
  'task.cancelled': { cancellation: named('TaskCancellation') },
  'task.sla_breached': { clock: named('SlaClock'), due_at: Timestamp, breached_at: Timestamp },
  'task.updated': {
    changes: Type.Array(
      Type.Object({ pointer: Text, from: Type.Optional(Type.Unknown()), to: Type.Optional(Type.Unknown()) }),
    ),
  },
  'task.assigned': { worker_id: Id, mode: Text, forced: Type.Boolean() },
  'task.requeued': { reason: Text, worker_id: nullable(Id) },
  'task.question_asked': message,
  'task.question_answered': { ...message, answers: Uuid },
  'task.message_added': message,
  'task.escalated': {
    after_seconds: Type.Integer(),
    while: Text,
    urgency: Type.Optional(named('Urgency')),
    worker_pool_id: Type.Optional(Id),
    missing_worker_pool_id: Type.Optional(Id),
    notified_members: Type.Optional(Type.Array(Uuid)),
  },
  'task.reported': { worker_id: Id, reason: named('ReportReason'), text: nullable(Text) },
  'task.disputed': {
    worker_id: Type.Optional(Id),
    text: nullable(Text),
    decision: Type.Optional(Type.Unsafe<string>({ type: 'string', enum: ['uphold', 'overturn'] })),
  },
};

const common = {
  event_id: Uuid,
  sequence: Type.Integer({ description: '1, 2, 3 … within the task' }),
  task_id: Uuid,
  org_id: Uuid,
  status: named('TaskStatus'),
  previous_status: Type.Union([named('TaskStatus'), Type.Null()]),
  attempt_of_task: Type.Integer(),
  origin: Type.Object({ product: Text, request_id: Text }),
  metadata: Type.Record(Type.String(), Text),
};

function eventSchema(type: string, data: Record<string, TSchema>): TSchema {
  const words = type.split(/[._]/).map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return Type.Object(
    { type: Type.Literal(type), timestamp: Timestamp, data: Type.Object(data) },
    { $id: `${words.join('')}Webhook` },
  );
}

const WebhookEvent = Type.Unsafe<unknown>({
  $id: 'WebhookEvent',
  description: 'By `type`',
  discriminator: { propertyName: 'type' },
  oneOf: [
    ...Object.entries(DATA).map(([type, data]) => eventSchema(type, { ...common, ...data })),
    eventSchema('webhook_endpoint.test', { event_id: Uuid, org_id: Uuid, endpoint_id: Uuid }),
  ],
});

const header = (name: string, description: string, example: string): Json => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: { type: 'string' },
  example,
});

/** The `webhooks` of the document. @param body of a request, with its schema and example */
export function webhooks(components: Components, content: (schema: Json) => Json): Json {
  return {
    event: {
      post: {
        operationId: 'receiveEvent',
        tags: ['Webhooks'],
        summary: 'An event of a task',
        description:
          'Sent to the callback URL of the task and to webhook endpoints, as Standard Webhooks says. Verify the signature before use; an event may arrive twice, with the same id.',
        security: [],
        parameters: [
          header(
            'webhook-id',
            'Id of the event, the same on every attempt',
            '01890a5d-ac96-774b-bcce-b302099a8057',
          ),
          header('webhook-timestamp', 'Unix seconds of this attempt', '1770232860'),
          header(
            'webhook-signature',
            'Signatures of `id.timestamp.body`, separated by spaces',
            'v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=',
          ),
        ],
        requestBody: {
          required: true,
          content: { 'application/json': content(components.schema(WebhookEvent)) },
        },
        responses: {
          '2XX': { description: 'Received' },
          410: { description: 'Send no more events of this task' },
        },
      },
    },
  };
}
