// Schemas of a replay and of the request that starts one.

import Type from 'typebox';
import { REPLAY_CHOICES, REPLAY_STATUSES, STOP_REASONS } from '../../../state/webhooks/replay.ts';
import {
  actor,
  CreatedAt,
  closed,
  count,
  idOf,
  label,
  nullable,
  time,
  UpdatedAt,
  word,
} from '../../http/schemas.ts';

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

const Base = {
  since: time('Time of the first event'),
  until: time('Events before this time'),
  status: word(REPLAY_STATUSES, { description: 'How far it is' }),
  created_by: actor('Who started it'),
  created_at: CreatedAt,
  updated_at: UpdatedAt,
  finished_at: nullable(time('When it ended; null before')),
};
const Progress = {
  ...Base,
  reason: nullable(word(STOP_REASONS, { description: 'Why it was stopped' })),
  reached_at: nullable(
    Type.String({
      format: 'date-time',
      description: 'Progress: time of the last examined event',
    }),
  ),
  examined: count('Events examined'),
  sent: count('Examined events that were sent again'),
  succeeded: count('Sent events that were delivered at the first attempt'),
  failed: count('Sent events that were not delivered at the first attempt'),
};
const Hint = nullable(label('Why nothing was sent; null unless it ended so'));

export const ReplayView = Type.Object(
  {
    replay_id: idOf('replay'),
    endpoint_id: idOf('webhook endpoint'),
    deliveries: word(REPLAY_CHOICES, { description: 'Which deliveries are sent again' }),
    ...Progress,
    hint: Hint,
  },
  { $id: 'Replay', description: 'Past events that are sent to an endpoint again' },
);

const Choice = {
  callback_url: Type.Optional(
    Type.String({ maxLength: 2048, description: 'Those to this callback URL of tasks' }),
  ),
  since: Type.Optional(
    Type.String({ format: 'date-time', description: 'Events from this time on; default: all' }),
  ),
  until: Type.Optional(
    Type.String({ format: 'date-time', description: 'Events before this time; default and latest: now' }),
  ),
};
export const RedeliveryStart = closed(
  {
    ...Choice,
    endpoint_id: Type.Optional(
      Type.String({ format: 'uuid', description: 'Those to this endpoint, which must be enabled' }),
    ),
  },
  'RedeliveryStart',
);
export const StopStart = closed(
  {
    ...Choice,
    endpoint_id: Type.Optional(
      Type.String({ format: 'uuid', description: 'Those to this endpoint; either this or `callback_url`' }),
    ),
  },
  'DeliveryStopStart',
);
/** Which deliveries a request chooses. */
export type LetterChoice = Type.Static<typeof RedeliveryStart>;

export const RedeliveryView = Type.Object(
  {
    redelivery_id: idOf('redelivery'),
    callback_url: nullable(label('Callback URL whose failed deliveries are sent again; null for any', 2048)),
    endpoint_id: nullable(idOf('endpoint whose failed deliveries are sent again; null for any')),
    ...Progress,
    hint: Hint,
  },
  { $id: 'Redelivery', description: 'Failed deliveries that are sent again' },
);

export const StopView = Type.Object(
  {
    stop_id: idOf('run'),
    callback_url: nullable(
      label('Callback URL whose pending deliveries are stopped; null for an endpoint', 2048),
    ),
    endpoint_id: nullable(idOf('endpoint whose pending deliveries are stopped; null for a callback URL')),
    ...Base,
    examined: count('Pending deliveries of the org that were looked at, in all passes'),
    stopped: count('Those that will not be sent'),
    hint: nullable(label('Why nothing was stopped; null unless it ended so')),
  },
  { $id: 'DeliveryStop', description: 'Pending deliveries that are stopped' },
);

export const StopParams = Type.Object({ stop_id: idOf('run') });
export const RedeliveryParams = Type.Object({ redelivery_id: idOf('redelivery') });

export const ReplayParams = Type.Object({ endpoint_id: idOf('webhook endpoint'), replay_id: idOf('replay') });
