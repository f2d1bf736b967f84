// Schemas of a replay and of the request that starts one.

import Type from 'typebox';
import { REPLAY_CHOICES, REPLAY_STATUSES, STOP_REASONS } from '../../../state/webhooks/replay.ts';
import { closed, idOf, nullable, Timestamp, Uuid, word } from '../../http/schemas.ts';

export const ReplayStart = closed({
  since: Type.String({ format: 'date-time', description: 'Time of the first event' }),
  until: Type.Optional(
    Type.String({ format: 'date-time', description: 'Events before this time; default and latest: now' }),
  ),
  deliveries: Type.Optional(
    word(REPLAY_CHOICES, {
      default: 'failed',
      description:
        'failed: deliveries that were given up or stopped. undelivered: also events without a delivery to the endpoint. all: also deliveries that succeeded',
    }),
  ),
});
export type ReplayStart = Type.Static<typeof ReplayStart>;

const Count = (description: string) => Type.Integer({ minimum: 0, description });

const Progress = {
  since: Timestamp,
  until: Timestamp,
  status: word(REPLAY_STATUSES),
  reason: nullable(word(STOP_REASONS, { description: 'Why it was stopped' })),
  reached_at: nullable(
    Type.String({
      format: 'date-time',
      description: 'Progress: time of the last examined event',
    }),
  ),
  examined: Count('Events examined'),
  sent: Count('Examined events that were sent again'),
  succeeded: Count('Sent events that were delivered at the first attempt'),
  failed: Count('Sent events that were not delivered at the first attempt'),
  created_by: Type.String(),
  created_at: Timestamp,
  updated_at: Timestamp,
  finished_at: nullable(Timestamp),
};
const Hint = nullable(Type.String({ description: 'Why nothing was sent; null unless it ended so' }));

export const ReplayView = Type.Object(
  { replay_id: Uuid, endpoint_id: Uuid, deliveries: word(REPLAY_CHOICES), ...Progress, hint: Hint },
  { $id: 'Replay' },
);

export const RedeliveryStart = closed(
  {
    callback_url: Type.Optional(
      Type.String({ maxLength: 2048, description: 'Those to this callback URL of tasks' }),
    ),
    endpoint_id: Type.Optional(
      Type.String({ format: 'uuid', description: 'Those to this endpoint, which must be enabled' }),
    ),
    since: Type.Optional(
      Type.String({ format: 'date-time', description: 'Events from this time on; default: all' }),
    ),
    until: Type.Optional(
      Type.String({ format: 'date-time', description: 'Events before this time; default and latest: now' }),
    ),
  },
  'RedeliveryStart',
);
export type RedeliveryStart = Type.Static<typeof RedeliveryStart>;

export const RedeliveryView = Type.Object(
  {
    redelivery_id: Uuid,
    callback_url: nullable(Type.String()),
    endpoint_id: nullable(Uuid),
    ...Progress,
    hint: Hint,
  },
  { $id: 'Redelivery' },
);

export const RedeliveryParams = Type.Object({ redelivery_id: idOf('redelivery') });

export const ReplayParams = Type.Object({ endpoint_id: idOf('webhook endpoint'), replay_id: idOf('replay') });
