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

export const ReplayView = Type.Object(
  {
    replay_id: Uuid,
    endpoint_id: Uuid,
    deliveries: word(REPLAY_CHOICES),
    since: Timestamp,
    until: Timestamp,
    status: word(REPLAY_STATUSES),
    reason: nullable(word(STOP_REASONS, { description: 'Why the replay was stopped' })),
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
  },
  { $id: 'Replay' },
);

export const ReplayParams = Type.Object({ endpoint_id: idOf('webhook endpoint'), replay_id: idOf('replay') });
