// Schemas of the events of the two streams. OpenAPI 3.1 cannot describe server-sent events, so `contentSchema` says what a
// stream holds: its events, one after another.

import Type, { type TSchema } from 'typebox';
import { OFFER_STATUSES } from '../../../state/tasks/offer.ts';
import { idOf, label, word } from '../../http/schemas.ts';
import { FeedEventType } from '../tasks/enums.schema.ts';
import { FeedEvent } from '../tasks/history.schema.ts';
import { OfferView } from './worker-offers.ts';
import { WorkerTask } from './worker-task.schema.ts';
import { WorkerView } from './workers.schema.ts';

const id = label('Position after the event, for `Last-Event-ID`');

const FeedStreamEvent = Type.Object(
  { id, event: FeedEventType, data: FeedEvent },
  { $id: 'FeedStreamEvent', description: 'An event of the stream; `data` is sent as JSON' },
);

const ended = OFFER_STATUSES.filter((status) => status !== 'pending');
/** The events of a worker's stream: their `data`, and what they mean. */
const WORKER_EVENTS: Record<string, [data: TSchema, description: string]> = {
  offer: [OfferView, 'An offer that can be answered now'],
  offer_ended: [
    Type.Object(
      {
        offer_id: idOf('offer'),
        task_id: idOf('task'),
        status: word(ended, { description: 'How it ended' }),
      },
      { $id: 'EndedOffer', description: 'An offer that can no longer be answered' },
    ),
    'An offer has ended',
  ],
  task: [WorkerTask, 'A task of the worker after a change'],
  task_gone: [
    Type.Object(
      { task_id: idOf('task') },
      { $id: 'LostTask', description: "A task that is no longer the worker's" },
    ),
    "A task is no longer the worker's",
  ],
  worker: [WorkerView, 'The worker after a change'],
  reset: [
    Type.Object({}, { $id: 'StreamReset', description: 'Nothing' }),
    'Changes were missed: discard your state; the current state follows',
  ],
};

const WorkerFeedStreamEvent = Type.Unsafe<unknown>({
  $id: 'WorkerFeedStreamEvent',
  description: 'An event of the stream, by `event`; `data` is sent as JSON',
  discriminator: { propertyName: 'event' },
  oneOf: Object.entries(WORKER_EVENTS).map(([event, [data, description]]) => {
    const name = event.replaceAll(/(^|_)[a-z]/g, (start) => start.replace('_', '').toUpperCase());
    return Type.Object(
      { id: Type.Optional(id), event: Type.Literal(event, { description: 'Type of the event' }), data },
      { $id: `${name}StreamEvent`, description },
    );
  }),
});

function streamOf(event: TSchema, example: string): TSchema {
  return Type.Unsafe<string>({
    type: 'string',
    contentMediaType: 'text/event-stream',
    contentSchema: { type: 'array', items: event },
    examples: [example],
  });
}

export const FeedStream = streamOf(
  FeedStreamEvent,
  'id: eyJzIjoiZXZlbnRzIn0\nevent: webhook_endpoint.disabled\ndata: {"event_id":"01890a5d-ac96-774b-bcce-b302099a8057","type":"webhook_endpoint.disabled","at":"2026-02-04T19:21:00.000Z","actor":"system","data":{"endpoint_id":"01890a5d-ac96-774b-bcce-b302099a8057","url":"https://example.com/webhooks","reason":"gone"}}\n\n',
);
export const WorkerStream = streamOf(
  WorkerFeedStreamEvent,
  'id: 1770232860000-0\nevent: task_gone\ndata: {"task_id":"01890a5d-ac96-774b-bcce-b302099a8057"}\n\n',
);
