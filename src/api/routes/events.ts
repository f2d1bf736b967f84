// The org's feed of events.

import Type from 'typebox';
import { EVENT_TYPES } from '../../state/lifecycle.ts';
import { poolOf } from '../../state/task.ts';
import { type FeedEvent, readFeed } from '../../store/feed.ts';
import { loadEvent } from '../../store/tasks.ts';
import { cursorOf, DEFAULT_LIMIT, listScope, readCursor } from '../list.ts';
import { maySeePool, route, scope } from '../route.ts';
import { closed, listAnswer, listOf, PageQuery, Uuid, word } from '../schemas.ts';
import { HistoryEntry } from './tasks.schema.ts';

const { order: _order, ...Page } = PageQuery;
const FeedEntry = Type.Object({ task_id: Uuid, ...HistoryEntry.properties }, { $id: 'FeedEvent' });

/** What a position of the feed looks like. */
export const FEED_POSITION = /^\d{1,15}-\d{1,15}\/\d{1,9}$/;

export const eventRoutes = [
  route({
    method: 'GET',
    path: '/v1/events',
    access: scope('events:read'),
    tag: 'Events',
    summary: "The org's feed, oldest first; next_cursor always names where to go on, also at the end",
    query: closed({ types: listOf(word(EVENT_TYPES)), ...Page }),
    answers: { 200: { description: 'A page of events', schema: listAnswer(FeedEntry) } },
    async handler({ deps: { db }, principal, query }) {
      const { limit = DEFAULT_LIMIT, cursor, types } = query;
      const bound = listScope('events', principal.org_id, principal.pools, types);
      let after = readCursor(bound, cursor, FEED_POSITION);
      const data: FeedEvent[] = [];
      let more = true;
      while (more && data.length <= limit) {
        const { references, more: further } = await readFeed(db, principal.org_id, after, limit);
        more = further;
        const wanted = references.map((one) => types === undefined || types.includes(one.type));
        const found = await Promise.all(
          references.map((one, index) =>
            wanted[index] ? loadEvent(db, principal.org_id, one.task_id, one.sequence) : null,
          ),
        );
        for (const [index, { position, task_id }] of references.entries()) {
          const entry = found[index] ?? null;
          if (entry !== null && maySeePool(principal, poolOf(entry.task))) {
            if (data.length === limit) return feedAnswer(data, bound, after, true);
            data.push({ task_id, ...entry.event });
          }
          after = position;
        }
      }
      return feedAnswer(data, bound, after, false);
    },
  }),
];

function feedAnswer(data: FeedEvent[], bound: string, after: string | null, more: boolean) {
  const next_cursor = after === null ? null : cursorOf(bound, after);
  return { status: 200, body: { data, has_more: more, next_cursor } };
}
