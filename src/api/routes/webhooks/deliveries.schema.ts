// Schemas of a delivery and its attempts.

import Type from 'typebox';
import { DELIVERY_STATUSES } from '../../../store/webhooks/delivery-record.ts';
import { CreatedAt, idOf, label, nullable, text, time, word } from '../../http/schemas.ts';

const headers = (description: string) => Type.Record(Type.String(), Type.String(), { description });
const ms = (what: string) =>
  nullable(Type.Number({ minimum: 0, description: `${what}, ms; null if it did not get so far` }));
const AttemptView = Type.Object(
  {
    attempt: Type.Integer({ minimum: 1, description: '1, 2, 3 …' }),
    at: time('When the attempt was made'),
    status: nullable(
      Type.Integer({
        minimum: 100,
        maximum: 999,
        description: 'HTTP status of the response; null when there was none',
      }),
    ),
    ms: Type.Integer({ minimum: 0, description: 'How long the attempt took, ms' }),
    error: nullable(label('What went wrong; null for nothing')),
    error_class: nullable(label('Kind of the error, for programs; null for none')),
    address: nullable(label('IP address of the receiver')),
    timings: Type.Object(
      {
        queue: ms('Wait in the queue'),
        dns: ms('Look-up of the name'),
        connect: ms('Connection'),
        tls: ms('TLS handshake'),
        first_byte: ms('Wait for the first byte of the response'),
        body: ms('Reading of the response'),
      },
      { $id: 'DeliveryTimings', description: 'Where the time went' },
    ),
    request_headers: headers('Headers of the request, without secrets'),
    response_headers: headers('Headers of the response'),
    response_body: text('The first 4 KiB', { maxLength: 4096 }),
    next_attempt_at: nullable(time('When the next attempt was due after it; null for none')),
  },
  { $id: 'DeliveryAttempt', description: 'An attempt to deliver an event' },
);

export const DeliveryView = Type.Object(
  {
    delivery_id: idOf('delivery'),
    endpoint_id: nullable(idOf('webhook endpoint; null for a callback URL')),
    task_id: nullable(idOf('task; null for a test event')),
    event_id: idOf('event'),
    event_type: text('Type of the event', { pattern: '^[a-z_]+\\.[a-z_]+$' }),
    sequence: nullable(
      Type.Integer({ minimum: 1, description: 'Of the event within its task; null for none' }),
    ),
    url: nullable(label('URL of the receiver; null if it is no longer known', 2048)),
    status: word(DELIVERY_STATUSES, { description: 'How far the delivery is' }),
    attempts: Type.Array(AttemptView, { description: 'The attempts, oldest first' }),
    next_attempt_at: nullable(time('When the next attempt is due; null for none')),
    created_at: CreatedAt,
  },
  { $id: 'Delivery', description: 'An event on its way to one receiver' },
);
