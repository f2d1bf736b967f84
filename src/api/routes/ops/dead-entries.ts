// Dead entries, for the operator: entries that could not be processed, to be inspected, replayed or discarded.

import Type from 'typebox';
import { timestamp } from '../../../state/text/time.ts';
import {
  type DeadEntry,
  discardDead,
  listDead,
  loadDead,
  replayDead,
} from '../../../store/maintenance/dead-entries.ts';
import { forgetLostSegment } from '../../../store/maintenance/lost-segments.ts';
import type { ApiDeps } from '../../deps.ts';
import { cursorOf, DEFAULT_LIMIT, listResponse, listScope, readCursor } from '../../http/list.ts';
import { notFound } from '../../http/problem.ts';
import {
  closed,
  count,
  cursorIn,
  described,
  label,
  nextCursor,
  PageQuery,
  pageOf,
  time,
} from '../../http/schemas.ts';
import { route } from '../../route.ts';

/** The partition and the id in its stream. */
const ENTRY_ID = '[pq][0-9a-z]{2}-\\d{1,15}-\\d{1,15}';
const EntryId = Type.String({ pattern: `^${ENTRY_ID}$` });
const EntryView = Type.Object(
  {
    entry_id: described(EntryId, 'Id of the dead entry'),
    kind: label('`outbox`: an outbox entry. `member`: a member of an index. `record`: a note about a record'),
    name: label('Id of the outbox entry, the member, or the Redis key of the record'),
    reason: label('Why it could not be processed'),
    at: time('When it was put aside'),
    content: Type.Record(Type.String(), Type.String(), { description: 'The fields of the entry' }),
  },
  { $id: 'DeadEntry', description: 'Something that could not be processed' },
);
const Params = Type.Object({ entry_id: described(EntryId, 'Id of the dead entry') });
const operator = { access: { kind: 'operator' }, tag: 'Operators' } as const;

const BOUND = listScope('dead-entries');
const POSITION = new RegExp(`^${ENTRY_ID}$`);
/** Position of a replay of all entries: the latest time of entries to replay (ms), and the last entry seen. */
const STEP_POSITION = new RegExp(`^\\d{1,15}( ${ENTRY_ID})?$`);
/** Entries replayed in one step. */
const STEP = 500;

const { order: _order, ...Page } = PageQuery;

export const deadEntryRoutes = [
  route({
    ...operator,
    method: 'GET',
    path: '/admin/dead-entries',
    operationId: 'listDeadEntries',
    summary: 'List dead entries',
    description:
      'Entries of the outbox and jobs that could not be processed, oldest first within each partition.',
    query: closed(Page),
    responses: { 200: { description: 'A page of entries', schema: pageOf(EntryView) } },
    async handler({ deps: { db }, query }) {
      const { limit = DEFAULT_LIMIT, cursor } = query;
      const after = readCursor(BOUND, cursor, POSITION);
      const found = await listDead(db, after === null ? null : placeOf(after), limit + 1);
      const shown = found.slice(0, limit);
      const last = found.length > limit ? shown.at(-1) : undefined;
      return listResponse(shown.map(view), BOUND, last === undefined ? null : idOf(last));
    },
  }),
  route({
    ...operator,
    method: 'POST',
    path: '/admin/dead-entries/replay',
    operationId: 'replayDeadEntries',
    summary: 'Replay all dead entries',
    description: 'Replays one step of those that are there now; repeat with `next_cursor` until it is null.',
    body: closed({
      cursor: cursorIn('`next_cursor` of the step before'),
    }),
    bodyOptional: true,
    responses: {
      200: {
        description: 'Result of the step',
        schema: closed({
          replayed: count('Entries that were replayed'),
          next_cursor: nextCursor('`cursor` of the next step; null after the last'),
        }),
      },
    },
    errors: ['invalid_cursor'],
    async handler({ deps: { db }, body }) {
      const position = readCursor(BOUND, body.cursor, STEP_POSITION) ?? String(Math.floor(db.clock.now()));
      const [until = '', after] = position.split(' ');
      const page = await listDead(db, after === undefined ? null : placeOf(after), STEP);
      let replayed = 0;
      // Entries that fail again get a later time and are not replayed a second time.
      for (const entry of page) if (entry.at <= Number(until) && (await replayDead(db, entry))) replayed += 1;
      const last = page.length === STEP ? page.at(-1) : undefined;
      const next_cursor = last === undefined ? null : cursorOf(BOUND, `${until} ${idOf(last)}`);
      return { status: 200, body: { replayed, next_cursor } };
    },
  }),
  route({
    ...operator,
    method: 'POST',
    path: '/admin/dead-entries/{entry_id}/replay',
    operationId: 'replayDeadEntry',
    summary: 'Replay a dead entry',
    description: 'The entry returns if it still cannot be processed.',
    params: Params,
    responses: { 200: { description: 'The entry that was replayed', schema: EntryView } },
    async handler({ deps, params }) {
      const entry = await deadEntry(deps, params.entry_id);
      if (!(await replayDead(deps.db, entry))) throw notFound();
      return { status: 200, body: view(entry) };
    },
  }),
  route({
    ...operator,
    method: 'DELETE',
    path: '/admin/dead-entries/{entry_id}',
    operationId: 'discardDeadEntry',
    summary: 'Discard a dead entry',
    description:
      'It cannot be brought back. With a lost file of the archive, its tasks are given up: they are unknown from then on.',
    params: Params,
    responses: { 204: { description: 'Discarded' } },
    async handler({ deps, params }) {
      const entry = await deadEntry(deps, params.entry_id);
      await forgetLostSegment(deps.db, entry);
      if (!(await discardDead(deps.db, entry))) throw notFound();
      return { status: 204 };
    },
  }),
];

/** @throws ApiError 404 */
async function deadEntry({ db }: ApiDeps, entryId: string): Promise<DeadEntry> {
  const { partition, id } = placeOf(entryId);
  const entry = await loadDead(db, partition, id);
  if (entry === null) throw notFound();
  return entry;
}

function idOf({ partition, id }: Pick<DeadEntry, 'partition' | 'id'>): string {
  return `${partition}-${id}`;
}

function placeOf(entryId: string): { partition: string; id: string } {
  return { partition: entryId.slice(0, 3), id: entryId.slice(4) };
}

function view(entry: DeadEntry): object {
  const { kind, name, reason, at, fields } = entry;
  const content: Record<string, string> = {};
  for (let index = 0; index < fields.length; index += 2)
    content[fields[index] ?? ''] = fields[index + 1] ?? '';
  return { entry_id: idOf(entry), kind, name, reason, at: timestamp(at || 0), content };
}
