// Schemas of the filters of tasks: parameters of the list, and the `filter` of a bulk action.

import Type from 'typebox';
import { ClientId, described, listOf, Slug, Timestamp } from '../../http/schemas.ts';
import { TaskStatus, Urgency } from './enums.schema.ts';

export const TaskFilterFields = {
  status: listOf(TaskStatus, 'Tasks in one of these states'),
  domain: listOf(Slug, 'Tasks of one of these domains'),
  urgency: listOf(Urgency, 'Tasks of one of these urgencies'),
  pool: listOf(ClientId, 'Tasks that require one of these pools'),
  task_type: listOf(Slug, 'Tasks of one of these types'),
  product: listOf(Type.String({ maxLength: 500 }), 'Tasks with this `origin.product`; may be repeated'),
  request_id: listOf(Type.String({ maxLength: 500 }), 'Tasks with this `origin.request_id`; may be repeated'),
  assigned_to: listOf(ClientId, 'Tasks of one of these workers'),
  overdue: Type.Optional(Type.Boolean({ description: 'Open with a breached clock' })),
  in_review: Type.Optional(
    Type.Boolean({ description: 'Submitted, reported or disputed, and a reviewer has to decide' }),
  ),
  has_open_question: Type.Optional(Type.Boolean({ description: 'Whether a question waits for its answer' })),
  gold: Type.Optional(
    Type.Boolean({
      description:
        'Gold tasks of task types alone, or none of them; default: in lists none, unless `in_review` or `has_open_question` is true, in bulk actions both',
    }),
  ),
  created_after: Type.Optional(described(Timestamp, 'Tasks created after this time')),
  created_before: Type.Optional(described(Timestamp, 'Tasks created before this time')),
};
