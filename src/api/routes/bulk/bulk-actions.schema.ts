// Schemas of a bulk action and of the request that creates one.

import Type, { type TSchema } from 'typebox';
import {
  ACTIONS,
  BULK_REASONS,
  BULK_STATUSES,
  MAX_FAILURES,
  MAX_TASK_IDS,
} from '../../../state/bulk/bulk-action.ts';
import {
  actor,
  CreatedAt,
  closed,
  count,
  idOf,
  label,
  nullable,
  time,
  UpdatedAt,
  Uuid,
  word,
} from '../../http/schemas.ts';
import { TaskFilterFields } from '../tasks/task-filters.schema.ts';
import { TaskUpdate } from '../tasks/task-input.schema.ts';

const Reason = { maxLength: 2000, description: 'Recorded in the history of each task' };
const Feedback = { maxLength: 20_000, description: 'The worker reads it' };

const Selection = {
  filter: Type.Optional(
    Type.Object(TaskFilterFields, {
      $id: 'TaskFilter',
      additionalProperties: false,
      minProperties: 1,
      description:
        'The tasks that match when their turn comes, of those that existed when the bulk action was created; open ones unless `status` says otherwise. Either this or `task_ids`.',
    }),
  ),
  task_ids: Type.Optional(
    Type.Array(Uuid, { minItems: 1, maxItems: MAX_TASK_IDS, description: 'The tasks, each once' }),
  ),
  dry_run: Type.Optional(
    Type.Boolean({ default: false, description: 'Only count the tasks; nothing is created' }),
  ),
};

/** The body of one action. */
function body<const A extends string, P extends Record<string, TSchema>>(action: A, parameters: P) {
  const name = `Bulk${action.charAt(0).toUpperCase()}${action.slice(1)}`;
  return closed(
    {
      action: Type.Literal(action, { description: 'What is done to the tasks' }),
      ...Selection,
      ...parameters,
    },
    name,
    `Bulk action: ${action}`,
  );
}

const Rating = Type.Optional(Type.Number({ minimum: 1, maximum: 5, description: 'Quality of the work' }));
const Bodies = {
  cancel: body('cancel', { reason: Type.Optional(Type.String(Reason)) }),
  requeue: body('requeue', { reason: Type.String({ minLength: 1, ...Reason }) }),
  update: body('update', { changes: TaskUpdate }),
  approve: body('approve', { feedback: Type.Optional(Type.String(Feedback)), rating: Rating }),
  reject: body('reject', { feedback: Type.String({ minLength: 1, ...Feedback }), rating: Rating }),
};

export type BulkActionCreate = Type.Static<(typeof Bodies)[keyof typeof Bodies]>;
export const BulkActionCreate = Type.Unsafe<BulkActionCreate>({
  type: 'object',
  discriminator: { propertyName: 'action' },
  required: ['action'],
  properties: { action: { type: 'string' } },
  oneOf: Object.values(Bodies),
});

export const BulkActionView = Type.Object(
  {
    bulk_action_id: idOf('bulk action'),
    action: word(ACTIONS, { description: 'What is done to the tasks' }),
    filter: Type.Optional(
      nullable(Type.Object(TaskFilterFields, { description: 'Not in lists; null with task_ids' })),
    ),
    parameters: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        description: 'Not in lists: `reason`, `changes`, or `feedback` and `rating`',
      }),
    ),
    status: word(BULK_STATUSES, { description: 'How far it is' }),
    reason: nullable(word(BULK_REASONS, { description: 'Why it failed' })),
    total: nullable(
      Type.Integer({
        minimum: 0,
        description: 'Number of its tasks; with a filter null until all have been found',
      }),
    ),
    matched: count('Tasks dealt with so far: the sum of the next three'),
    done: count('Tasks that were changed'),
    failed: count('Tasks that refused the change'),
    skipped: count(
      'Tasks that were final, no longer matched the filter, or that the change would leave as they are',
    ),
    failures: Type.Optional(
      Type.Array(
        Type.Object(
          {
            task_id: idOf('task'),
            code: label('Code of the error'),
            detail: label('The error in words'),
          },
          { $id: 'BulkFailure', description: 'A task that refused the change' },
        ),
        {
          description: `Not in lists: the first ${MAX_FAILURES} tasks that refused, with the code that the request for this task alone would have got`,
        },
      ),
    ),
    created_by: actor('Who created it'),
    created_at: CreatedAt,
    updated_at: UpdatedAt,
    finished_at: nullable(time('When it ended; null before')),
  },
  { $id: 'BulkAction', description: 'One change of many tasks, and how far it is' },
);

export const BulkPreview = Type.Object(
  {
    matched: count('Open tasks that the action would be tried on'),
    is_exact: Type.Boolean({ description: 'Whether that is all of them; false: at least so many' }),
  },
  { $id: 'BulkActionPreview', description: 'What a bulk action would change' },
);

export const BulkActionParams = Type.Object({ bulk_action_id: idOf('bulk action') });
