// Server-sent events: the events of an org, and the offers and tasks of a worker.

import Type, { type TSchema } from 'typebox';
import { ownWorker } from '../../access/own-task.ts';
import { maySeePool } from '../../access/principal.ts';
import { cursorOf, listScope, readCursor } from '../../http/list.ts';
import { ApiError } from '../../http/problem.ts';
import { closed, listOf } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { eventStream, frame } from '../../streams/event-stream.ts';
import type { Follower, TailEvent } from '../../streams/feed-tails.ts';
import { WorkerFeed } from '../../streams/worker-feed.ts';
import { FeedEventType } from '../tasks/enums.schema.ts';
import { FEED_POSITION } from '../tasks/events.ts';
import { FeedStream, WorkerStream } from './event-streams.schema.ts';

const seconds = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: 86_400,
    description: 'The stream ends after this time; reconnect then',
  }),
);
const stream = (schema: TSchema) => ({
  200: {
    description: 'Server-sent events, until either side closes the stream; resume with Last-Event-ID',
    schema,
    type: 'text/event-stream',
  },
});
const LOG_POSITION = /^\d{1,15}-\d{1,15}$/;

export const eventStreamRoutes = [
  route({
    method: 'GET',
    path: '/v1/events/stream',
    access: scope('events:read'),
    tag: 'Events',
    operationId: 'streamEvents',
    summary: 'Stream the events of the org',
    description:
      'Server-sent events. Starts after `Last-Event-ID` or `cursor`, else with the next event. The `data` of each is the JSON of an entry of `GET /v1/events`, `event` is its type and `id` its position.',
    query: closed({
      types: listOf(FeedEventType, 'Events of one of these types'),
      cursor: Type.Optional(
        Type.String({ maxLength: 1000, description: 'next_cursor of GET /v1/events with the same types' }),
      ),
      max_seconds: seconds,
    }),
    responses: stream(FeedStream),
    async handler(call) {
      const { deps, principal, query } = call;
      const { types } = query;
      const bound = listScope('events', principal.org_id, principal.pools, types);
      const from = readCursor(bound, call.lastEventId ?? query.cursor, FEED_POSITION);
      const isShown = ({ event, pool }: TailEvent) =>
        (types === undefined || types.some((one) => one === event.type)) && maySeePool(principal, pool);
      return eventStream(call, query.max_seconds, async (stream) => {
        const follower: Follower = {
          position: from,
          receive(events) {
            const frames = framesOf(events, bound, isShown);
            if (frames.length > 0) stream.sendFrames(frames);
          },
          ready: () => stream.drained(),
          get isClosed() {
            return stream.isOver;
          },
        };
        const stop = await deps.feedTails.follow(principal.org_id, follower);
        if (follower.position !== null) stream.sendPosition(cursorOf(bound, follower.position));
        return stop;
      });
    },
  }),
  route({
    method: 'GET',
    path: '/v1/worker/stream',
    access: { kind: 'worker' },
    tag: 'Worker',
    operationId: 'streamWorkerFeed',
    summary: 'Stream changes of my offers and tasks',
    description:
      'Server-sent events. Starts with the current state, or with what was missed since `Last-Event-ID`; see docs/streams.md.',
    query: closed({ max_seconds: seconds }),
    responses: stream(WorkerStream),
    errors: ['invalid_cursor'],
    async handler(call) {
      const { deps, principal, query, lastEventId = null } = call;
      if (lastEventId !== null && !LOG_POSITION.test(lastEventId))
        throw new ApiError('invalid_cursor', 'Last-Event-ID is not an id of this stream.');
      await ownWorker(deps.db, principal);
      return eventStream(call, query.max_seconds, (stream) => {
        const feed = new WorkerFeed(deps.db, deps.changes, principal, stream);
        return feed.start(lastEventId);
      });
    },
  }),
];

const made = new WeakMap<readonly TailEvent[], Map<string, Buffer>>();

/** The visible events as frames; cached, because many clients follow the same events. */
function framesOf(events: readonly TailEvent[], bound: string, isShown: (one: TailEvent) => boolean): Buffer {
  const known = made.get(events) ?? new Map<string, Buffer>();
  made.set(events, known);
  const found = known.get(bound);
  if (found !== undefined) return found;
  const texts = events
    .filter(isShown)
    .map(({ position, event }) => frame({ id: cursorOf(bound, position), event: event.type, data: event }));
  const frames = Buffer.from(texts.join(''));
  known.set(bound, frames);
  return frames;
}
