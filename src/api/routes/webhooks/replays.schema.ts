// The form of a replay and of what begins one.

import Type from 'typebox';
import { REPLAY_CHOICES, REPLAY_STATUSES, STOP_REASONS } from '../../../state/webhooks/replay.ts';
import { closed, nullable, Timestamp, Uuid, word } from '../../http/schemas.ts';

export const ReplayStart = closed({
  since: Type.String({ format: 'date-time', description: 'Events from this time on' }),
  until: Type.Optional(
    Type.String({ format: 'date-time', description: 'Events before this time; now, if absent or later' }),
  ),
  deliveries: Type.Optional(
    word(REPLAY_CHOICES, {
      default: 'failed',
      description:
        'failed: given up or stopped. undelivered: also events that were never owed to the endpoint. all: also what succeeded',
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
    reason: nullable(word(STOP_REASONS, { description: 'Why it was stopped' })),
    reached_at: nullable(
      Type.String({
        format: 'date-time',
        description: 'How far it has come: time of the last event looked at',
      }),
    ),
    examined: Count('Events looked at'),
    sent: Count('Of these, sent again'),
    succeeded: Count('Of those sent, delivered at the first attempt'),
    failed: Count('Of those sent, not delivered at the first attempt'),
    created_by: Type.String(),
    created_at: Timestamp,
    updated_at: Timestamp,
    finished_at: nullable(Timestamp),
  },
  { $id: 'Replay' },
);

export const ReplayParams = Type.Object({ endpoint_id: Uuid, replay_id: Uuid });
