// Schemas of a delivery and its attempts.

import Type from 'typebox';
import { DELIVERY_STATUSES } from '../../../store/webhooks/delivery-record.ts';
import { nullable, Timestamp, Uuid, word } from '../../http/schemas.ts';

const Text = Type.Record(Type.String(), Type.String());
const Ms = nullable(Type.Number({ description: 'Milliseconds' }));
const AttemptView = Type.Object({
  attempt: Type.Integer({ description: '1, 2, 3 …' }),
  at: Timestamp,
  status: nullable(Type.Integer({ description: 'HTTP status of the response; null when there was none' })),
  ms: Type.Integer(),
  error: nullable(Type.String()),
  error_class: nullable(Type.String()),
  address: nullable(Type.String({ description: 'IP address of the receiver' })),
  timings: Type.Object({ queue: Ms, dns: Ms, connect: Ms, tls: Ms, first_byte: Ms, body: Ms }),
  request_headers: Text,
  response_headers: Text,
  response_body: Type.String({ description: 'The first 4 KiB' }),
  next_attempt_at: nullable(Timestamp),
});

export const DeliveryView = Type.Object(
  {
    delivery_id: Uuid,
    endpoint_id: nullable(Uuid),
    task_id: nullable(Uuid),
    event_id: Uuid,
    event_type: Type.String(),
    sequence: nullable(Type.Integer()),
    url: nullable(Type.String()),
    status: word(DELIVERY_STATUSES),
    attempts: Type.Array(AttemptView),
    next_attempt_at: nullable(Timestamp),
    created_at: Timestamp,
  },
  { $id: 'Delivery' },
);
