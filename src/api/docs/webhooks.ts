// The webhooks of the OpenAPI document: one request, whose body is a union of all event types.

import type { TSchema } from 'typebox';
import type { Components, Json } from './components.ts';

const header = (name: string, description: string, example: string): Json => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: { type: 'string' },
  example,
});

/**
 * The `webhooks` of the document.
 * @param event schema of the body. @param content body of a request, with its schema and example
 */
export function webhooks(event: TSchema, components: Components, content: (schema: Json) => Json): Json {
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
          content: { 'application/json': content(components.schema(event)) },
        },
        responses: {
          '2XX': { description: 'Received' },
          410: { description: 'Stop sending events of this task' },
        },
      },
    },
  };
}
