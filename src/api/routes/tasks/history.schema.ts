// Schemas of events as they are recorded: the history of a task, and the feed of the org.

import Type, { type TSchema } from 'typebox';
import type { ORG_EVENT_TYPES } from '../../../store/tasks/feed.ts';
import { actor, idOf, label, nullable, pageOf, sha256, time, word } from '../../http/schemas.ts';
import { TaskStatus } from './enums.schema.ts';
import { EVENT_DATA, nameOf, typeOf, unionByType } from './event-data.schema.ts';
import { Attempt } from './task-view.schema.ts';

const recorded = {
  sequence: Type.Integer({ minimum: 1, description: '1, 2, 3 … within the task' }),
  status: TaskStatus,
  previous_status: nullable(TaskStatus, 'State before the event; null for the first'),
  at: time('When it happened'),
  actor: actor(),
  attempt_of_task: Attempt,
};
const chained = {
  hash: sha256('SHA-256 (hex) of the RFC 8785 JSON of this entry without `hash`'),
  previous_hash: nullable(sha256('`hash` of the entry before; null for the first')),
};

/** One schema for each type of event. @param suffix of their names. @param more members besides those of all */
function entries(suffix: string, more: Record<string, TSchema>): TSchema[] {
  return Object.entries(EVENT_DATA).map(([type, data]) =>
    Type.Object(
      {
        ...more,
        event_id: idOf('event'),
        type: typeOf(type),
        ...recorded,
        data: Type.Object(data, { $id: `${nameOf(type)}Data`, description: `What \`${type}\` tells` }),
        ...chained,
      },
      { $id: `${nameOf(type)}${suffix}`, description: `\`${type}\`` },
    ),
  );
}

const HistoryEntry = unionByType('HistoryEntry', 'An event of a task, by `type`', entries('Entry', {}));

/** The `data` of events of the org itself. */
const ORG_DATA: Record<(typeof ORG_EVENT_TYPES)[number], Record<string, TSchema>> = {
  'webhook_endpoint.disabled': {
    endpoint_id: idOf('webhook endpoint'),
    url: label('URL of the receiver', 2048),
    reason: word(['gone', 'failing'], {
      description: '`gone`: it answered 410. `failing`: it failed for too long',
    }),
  },
};

/** An event of the org itself; it belongs to no task. */
const orgEvents = Object.entries(ORG_DATA).map(([type, data]) =>
  Type.Object(
    {
      event_id: idOf('event'),
      type: typeOf(type),
      at: recorded.at,
      actor: actor('Who or what caused it'),
      data: Type.Object(data, { $id: `${nameOf(type)}Data`, description: `What \`${type}\` tells` }),
    },
    { $id: `${nameOf(type)}Event`, description: `\`${type}\`` },
  ),
);

export const FeedEvent = unionByType('FeedEvent', 'An event of a task or of the org, by `type`', [
  ...entries('Event', { task_id: idOf('task') }),
  ...orgEvents,
]);

/** A page of a history, with the end of the whole history. */
export const History = Type.Object(
  {
    ...pageOf(HistoryEntry).properties,
    head: nullable(
      Type.Object(
        {
          sequence: Type.Integer({ minimum: 1, description: 'Number of entries' }),
          hash: sha256('`hash` of the last entry'),
        },
        { $id: 'HistoryHead', description: 'The last entry of a history' },
      ),
      'The last entry of the whole history; null when the history has been purged',
    ),
  },
  { $id: 'HistoryPage', description: 'A page of the history of a task' },
);
