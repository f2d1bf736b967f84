// The org's feed of events.

import Type from 'typebox';
import { EVENT_TYPES } from '../../state/lifecycle.ts';
import { poolOf } from '../../state/task.ts';
import { type FeedEvent, ORG_EVENT_TYPES, type OrgEvent, readWholeFeed } from '../../store/feed.ts';
import { loadEvent } from '../../store/tasks.ts';
import { readableOrNull } from '../../store/unreadable.ts';
import { cursorOf, DEFAULT_LIMIT, listScope, readCursor } from '../list.ts';
import { maySeePool, route, scope } from '../route.ts';
import { closed, listAnswer, listOf, PageQuery, Timestamp, Uuid, word } from '../schemas.ts';
import { HistoryEntry } from './tasks.schema.ts';

const { order: _order, ...Page } = PageQuery;
const FeedEntry = Type.Object({ task_id: Uuid, ...HistoryEntry.properties }, { $id: 'FeedEvent' });
/** What happened to the org itself; it belongs to no task. */
const OrgEntry = Type.Object(
  {
    event_id: Uuid,
    type: word(ORG_EVENT_TYPES),
    at: Timestamp,
    actor: Type.String(),
    data: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'OrgEvent' },
);

/** What a position of the feed looks like. */
export const FEED_POSITION = /^\d{1,15}-\d{1,15}\/\d{1,9}$/;

export const eventRoutes = [
  route({
    method: 'GET',
    path: '/v1/events',
    access: scope('events:read'),
    tag: 'Events',
    summary: "The org's feed, oldest first; next_cursor always names where to go on, also at the end",
    query: closed({ types: listOf(word([...EVENT_TYPES, ...ORG_EVENT_TYPES])), ...Page }),
    answers: {
      200: { description: 'A page of events', schema: listAnswer(Type.Union([FeedEntry, OrgEntry])) },
    },
    async handler({ deps: { db }, principal, query }) {
      const { limit = DEFAULT_LIMIT, cursor, types } = query;
      const bound = listScope('events', principal.org_id, principal.pools, types);
      let after = readCursor(bound, cursor, FEED_POSITION);
      const data: (FeedEvent | OrgEvent)[] = [];
      let more = true;
      while (more && data.length <= limit) {
        const { entries, more: further } = await readWholeFeed(db, principal.org_id, after, limit);
        more = further;
        const isWanted = (type: string) => types === undefined || types.some((one) => one === type);
        const found = await Promise.all(
          entries.map(async (one) => {
            if ('note' in one)
              return isWanted(one.note.type) && principal.pools.includes('*') ? one.note : null;
            if (!isWanted(one.type)) return null;
            const entry = await readableOrNull(db, () =>
              loadEvent(db, principal.org_id, one.task_id, one.sequence),
            );
            if (entry === null || !maySeePool(principal, poolOf(entry.task))) return null;
            return { task_id: one.task_id, ...entry.event };
          }),
        );
        for (const [index, { position }] of entries.entries()) {
          const shown = found[index] ?? null;
          if (shown !== null) {
            if (data.length === limit) return feedAnswer(data, bound, after, true);
            data.push(shown);
          }
          after = position;
        }
      }
      return feedAnswer(data, bound, after, false);
    },
  }),
];

function feedAnswer(data: (FeedEvent | OrgEvent)[], bound: string, after: string | null, more: boolean) {
  const next_cursor = after === null ? null : cursorOf(bound, after);
  return { status: 200, body: { data, has_more: more, next_cursor } };
}
