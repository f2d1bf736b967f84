// The org's feed of events.

import Type from 'typebox';
import { poolOf } from '../../../state/tasks/task.ts';
import { timeOf } from '../../../state/text/time.ts';
import { nullIfUnreadable } from '../../../store/redis/unreadable.ts';
import {
  type FeedEvent,
  type FeedNote,
  type FeedReference,
  feedSpan,
  type OrgEvent,
  readWholeFeed,
} from '../../../store/tasks/feed.ts';
import { loadEvent } from '../../../store/tasks/tasks.ts';
import { maySeePool } from '../../access/principal.ts';
import { cursorOf, DEFAULT_LIMIT, listScope, readCursor } from '../../http/list.ts';
import { closed, listOf, PageQuery, pageOf, time } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { FeedEventType } from './enums.schema.ts';
import { FeedEvent as FeedEventView } from './history.schema.ts';

const { order: _order, ...Page } = PageQuery;

/** The form of a position in the feed. */
export const FEED_POSITION = /^\d{1,15}-\d{1,15}\/\d{1,9}$/;

/** Most commits read at once. */
const CHUNK = 1000;
/** Cost of loading one event, in commits read. */
const LOAD = 20;
/** Cost, in commits read, after which a request answers with what it has found and a cursor. */
const MAX_COST = 20_000;

export const eventRoutes = [
  route({
    method: 'GET',
    path: '/v1/events',
    access: scope('events:read'),
    tag: 'Events',
    operationId: 'listEvents',
    summary: 'List the events of the org',
    description:
      'Oldest first, kept for 30 days. `next_cursor` is set on the last page too: use it later to get what has happened since.',
    query: closed({
      types: listOf(FeedEventType, 'Events of one of these types'),
      since: Type.Optional(time('Events from this time on; without `cursor` only')),
      until: Type.Optional(time('Events before this time; the same for all pages')),
      ...Page,
    }),
    responses: {
      200: { description: 'A page of events', schema: pageOf(FeedEventView) },
    },
    async handler({ deps: { db }, principal, query, signal }) {
      const { limit = DEFAULT_LIMIT, cursor, types } = query;
      const since = query.since === undefined ? Number.NEGATIVE_INFINITY : timeOf(query.since);
      const until = query.until === undefined ? Number.POSITIVE_INFINITY : timeOf(query.until);
      const span = feedSpan(since, until);
      const isPast = ({ position }: { position: string }) => Number(position.split('-')[0]) > span.end;
      const isWithin = ({ at }: { at: string }) => Date.parse(at) >= since && Date.parse(at) < until;
      // A page with `until` skips later events, which its cursor must not leave out elsewhere.
      const period = query.until === undefined ? [] : [until];
      const bound = listScope('events', principal.org_id, principal.pools, types, ...period);
      const gone = signal();
      const isWanted = (one: FeedReference | FeedNote) => {
        const type = 'note' in one ? one.note.type : one.type;
        if (types !== undefined && !types.some((wanted) => wanted === type)) return false;
        if ('note' in one) return principal.pools.includes('*');
        return one.pool === undefined || maySeePool(principal, one.pool);
      };
      const load = async (one: FeedReference | FeedNote): Promise<FeedEvent | OrgEvent | null> => {
        if ('note' in one) return isWithin(one.note) ? one.note : null;
        const entry = await nullIfUnreadable(db, () =>
          loadEvent(db, principal.org_id, one.task_id, one.sequence),
        );
        if (entry === null || !maySeePool(principal, poolOf(entry.task)) || !isWithin(entry.event))
          return null;
        return { task_id: one.task_id, ...entry.event };
      };
      let after =
        readCursor(bound, cursor, FEED_POSITION) ?? (query.since === undefined ? null : span.before);
      let work = 0;
      const data: (FeedEvent | OrgEvent)[] = [];
      for (let count = limit; ; count = Math.min(2 * count, CHUNK)) {
        const read = await readWholeFeed(db, principal.org_id, after, count);
        const entries = read.entries.filter((one) => !isPast(one));
        const more = read.more && entries.length === read.entries.length;
        work += count;
        const wanted = entries.filter(isWanted);
        for (let at = 0; at < wanted.length; ) {
          const step = wanted.slice(at, at + limit - data.length + 1);
          at += step.length;
          work += step.length * LOAD;
          const found = await Promise.all(step.map(load));
          for (const [index, { position }] of step.entries()) {
            const shown = found[index] ?? null;
            if (shown !== null) {
              if (data.length === limit) return feedResponse(data, bound, after, true);
              data.push(shown);
            }
            after = position;
          }
          if (work > MAX_COST || gone.aborted) return feedResponse(data, bound, after, true);
        }
        after = entries.at(-1)?.position ?? after;
        if (!more) return feedResponse(data, bound, after, false);
        if (work > MAX_COST || gone.aborted) return feedResponse(data, bound, after, true);
      }
    },
  }),
];

function feedResponse(data: (FeedEvent | OrgEvent)[], bound: string, after: string | null, more: boolean) {
  const next_cursor = after === null ? null : cursorOf(bound, after);
  return { status: 200, body: { data, has_more: more, next_cursor } };
}
