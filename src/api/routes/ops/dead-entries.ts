// What was set aside since it cannot be used, for the operator: to be looked at, played again, or thrown away.

import Type from 'typebox';
import { timestamp } from '../../../state/text/time.ts';
import {
  type DeadEntry,
  discardDead,
  listDead,
  loadDead,
  replayDead,
} from '../../../store/maintenance/dead-entries.ts';
import type { ApiDeps } from '../../deps.ts';
import { listAnswer as answerList, cursorOf, DEFAULT_LIMIT, listScope, readCursor } from '../../http/list.ts';
import { notFound } from '../../http/problem.ts';
import { closed, listAnswer, nullable, PageQuery, Timestamp } from '../../http/schemas.ts';
import { route } from '../../route.ts';

const EntryId = Type.String({ pattern: '^p\\d\\d-\\d{1,15}-\\d{1,15}$' });
const EntryView = Type.Object(
  {
    entry_id: EntryId,
    kind: Type.String({
      description: '`outbox`: an entry of the outbox. `member`: of an index. `record`: a note about a record',
    }),
    name: Type.String({ description: 'Id in the outbox, the member, or the key of the record in Redis' }),
    reason: Type.String(),
    at: Timestamp,
    content: Type.Record(Type.String(), Type.String(), { description: 'What was set aside, field by field' }),
  },
  { $id: 'DeadEntry' },
);
const Params = Type.Object({ entry_id: EntryId });
const operator = { access: { kind: 'operator' }, tag: 'Operators' } as const;

const BOUND = listScope('dead-entries');
const POSITION = /^p\d\d-\d{1,15}-\d{1,15}$/;
/** A step of playing all again: until when they were set aside (ms), and the last one seen. */
const STEP_POSITION = /^\d{1,15}( p\d\d-\d{1,15}-\d{1,15})?$/;
/** Entries played again in a step. */
const STEP = 500;

const { order: _order, ...Page } = PageQuery;

export const deadEntryRoutes = [
  route({
    ...operator,
    method: 'GET',
    path: '/admin/dead-entries',
    summary: 'List what was set aside since it cannot be used, oldest first within each partition',
    query: closed(Page),
    answers: { 200: { description: 'A page of entries', schema: listAnswer(EntryView) } },
    async handler({ deps: { db }, query }) {
      const { limit = DEFAULT_LIMIT, cursor } = query;
      const after = readCursor(BOUND, cursor, POSITION);
      const found = await listDead(db, after === null ? null : placeOf(after), limit + 1);
      const shown = found.slice(0, limit);
      const last = found.length > limit ? shown.at(-1) : undefined;
      return answerList(shown.map(view), BOUND, last === undefined ? null : idOf(last));
    },
  }),
  route({
    ...operator,
    method: 'POST',
    path: '/admin/dead-entries/replay',
    summary: 'Play all again that are there now, a step at a time: go on with next_cursor until it is null',
    body: closed({ cursor: Type.Optional(Type.String({ maxLength: 1000 })) }),
    bodyOptional: true,
    answers: {
      200: {
        description: 'What one step did',
        schema: closed({ replayed: Type.Integer(), next_cursor: nullable(Type.String()) }),
      },
    },
    async handler({ deps: { db }, body }) {
      const position = readCursor(BOUND, body.cursor, STEP_POSITION) ?? String(Math.floor(db.clock.now()));
      const [until = '', after] = position.split(' ');
      const page = await listDead(db, after === undefined ? null : placeOf(after), STEP);
      let replayed = 0;
      // What comes back meanwhile is not played again for ever.
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
    summary: 'Give an entry back to where it came from; what still cannot be used comes back',
    params: Params,
    answers: { 200: { description: 'The entry, played again', schema: EntryView } },
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
    summary: 'Throw an entry away for good',
    params: Params,
    answers: { 204: { description: 'It is gone' } },
    async handler({ deps, params }) {
      if (!(await discardDead(deps.db, await deadEntry(deps, params.entry_id)))) throw notFound();
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
