// Schemas of the history of a task.

import Type from 'typebox';
import { count, idOf, nullable, pageOf, text, time } from '../../http/schemas.ts';
import { EventType, TaskStatus } from './enums.schema.ts';
import { Attempt } from './task-view.schema.ts';

export const HistoryEntry = Type.Object(
  {
    event_id: idOf('event'),
    type: EventType,
    sequence: Type.Integer({ minimum: 1, description: '1, 2, 3 … within the task' }),
    status: TaskStatus,
    previous_status: nullable(TaskStatus, 'State before the event; null for the first'),
    at: time('When it happened'),
    actor: text('`api_key:<id>`, `worker:<id>` or `system`'),
    attempt_of_task: Attempt,
    data: Type.Unsafe<Record<string, unknown>>({ type: 'object', description: 'What belongs to the type' }),
    hash: text('SHA-256 (hex) of the RFC 8785 JSON of this entry without `hash`'),
    previous_hash: nullable(text('`hash` of the entry before; null for the first')),
  },
  { $id: 'HistoryEntry', description: 'An event of a task' },
);

/** A page of a history, with the end of the whole history. */
export const History = Type.Object(
  {
    ...pageOf(HistoryEntry).properties,
    head: nullable(
      Type.Object(
        {
          sequence: count('Number of entries'),
          hash: text('`hash` of the last entry'),
        },
        { $id: 'HistoryHead', description: 'The last entry of a history' },
      ),
      'The last entry of the whole history; null when the history has been purged',
    ),
  },
  { $id: 'HistoryPage', description: 'A page of the history of a task' },
);
