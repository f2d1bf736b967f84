// Schemas of a task and its parts as integrators read them.

import Type from 'typebox';
import { SIDES } from '../../../state/tasks/conversation.ts';
import { DISPUTE_DAYS, DISPUTE_STATUSES } from '../../../state/tasks/dispute.ts';
import {
  actor,
  CreatedAt,
  described,
  idOf,
  label,
  nullable,
  text,
  time,
  UpdatedAt,
  WorkerId,
  word,
} from '../../http/schemas.ts';
import { ReportReason, ReviewDecision, SlaClock, TaskStatus } from './enums.schema.ts';
import { Handoff, RetryPolicy } from './task-handoff.schema.ts';
import {
  Audit,
  Context,
  Domain,
  Instructions,
  Metadata,
  NotBefore,
  Origin,
  TaskTypeName,
  Title,
  TypeVersion,
} from './task-input.schema.ts';
import { Output } from './task-output.schema.ts';
import { Requirements } from './task-requirements.schema.ts';
import {
  Assignment,
  CopiesResult,
  DefaultResult,
  Submission,
  TaskCancellation,
  TaskFailure,
} from './task-result.schema.ts';
import { Sla } from './task-sla.schema.ts';

export const Author = Type.Object(
  {
    kind: word(SIDES, { description: 'Which side wrote it' }),
    id: nullable(
      label('Id of the worker, or who wrote it for the requester; null if hidden from the caller'),
    ),
  },
  { $id: 'Author', description: 'Who wrote a message' },
);

export const OpenQuestion = Type.Union(
  [
    Type.Object(
      {
        message_id: idOf('question'),
        text: label('The question, plain text', 10_000),
        author: Author,
        asked_at: time('When it was asked'),
      },
      { $id: 'OpenQuestion', description: 'The question that waits for an answer' },
    ),
    Type.Null(),
  ],
  { description: 'The question that waits for an answer' },
);
export const UnreadMessages = Type.Integer({
  minimum: 0,
  description: 'Messages that the side of the caller has not read; 0 when the task is final',
});

export const Attempt = Type.Integer({
  minimum: 1,
  description: 'Increases by one each time accepted work returns to the queue',
});

const DisputeFields = {
  worker_id: WorkerId,
  text: label('Why the worker disputes the rejection, plain text'),
  opened_at: time('When the worker disputed the rejection'),
  status: word(DISPUTE_STATUSES, { description: 'Whether a reviewer has decided, and how' }),
  decision_text: nullable(text('What the reviewer wrote')),
  decided_at: nullable(time('When a reviewer decided; null before')),
};
/** A dispute as its worker sees it. */
export const OwnDispute = Type.Object(DisputeFields, {
  $id: 'OwnDispute',
  description: 'The dispute of a rejection, as its worker sees it',
});

export const DisputableUntil = nullable(
  Type.String({
    format: 'date-time',
    description: `When the rejection that ended the task can no longer be disputed, ${DISPUTE_DAYS} days after it; null when there is none, or it was disputed before`,
  }),
);

export const Version = Type.Integer({
  minimum: 1,
  description: 'Increases with every change; the `ETag` for `If-Match`',
});

export const Task = Type.Object(
  {
    task_id: idOf('task'),
    org_id: idOf('org'),
    status: TaskStatus,
    version: Version,
    origin: Type.Object(Origin, { $id: 'TaskOrigin', description: 'Where the task comes from' }),
    gold: Type.Optional(
      Type.Literal(true, { description: 'Only on gold tasks, which the task type created (`gold_tasks`)' }),
    ),
    task_type: TaskTypeName,
    task_type_version: Type.Optional(TypeVersion),
    domain: Domain,
    title: Title,
    instructions: Instructions,
    not_before: Type.Optional(NotBefore),
    context: Type.Optional(Context),
    sla: Type.Object(
      {
        ...Sla,
        breaches: Type.Array(
          Type.Object(
            {
              clock: SlaClock,
              due_at: time('When the clock was due'),
              breached_at: time('When the breach was recorded'),
            },
            { $id: 'SlaBreach', description: 'A clock that was not met' },
          ),
          { description: 'The clocks that were not met' },
        ),
      },
      { $id: 'TaskSla', description: 'Urgency, due times and breaches' },
    ),
    requirements: Type.Optional(Requirements),
    output: Output,
    handoff: Type.Optional(
      Type.Object(
        {
          ...Handoff,
          callback_auth: Type.Object(
            { type: word(['none', 'bearer', 'basic'], { description: 'Kind of authentication' }) },
            { $id: 'CallbackAuth', description: 'How deliveries authenticate, without the secret' },
          ),
          retry_policy: Type.Optional(RetryPolicy),
        },
        { $id: 'TaskHandoff', description: 'Where and how the events of the task are sent' },
      ),
    ),
    audit: Audit,
    metadata: Type.Optional(Metadata),
    attempt: Attempt,
    assignment: nullable(Assignment, 'The worker who has the task; null while nobody has it'),
    submission: Type.Union([Submission, CopiesResult, Type.Null()], {
      description: 'The last submission; kept after rework, reassignment, rejection and failure',
    }),
    result: Type.Union([Submission, CopiesResult, DefaultResult, Type.Null()], {
      description: 'With `output.copies`: the answers and how far they agree',
    }),
    reviews: Type.Array(
      Type.Object(
        {
          decision: ReviewDecision,
          feedback: nullable(text('What the reviewer told the worker; null for nothing')),
          rating: nullable(
            Type.Number({ minimum: 1, maximum: 5, description: 'Quality of the work; null if not rated' }),
          ),
          worker_id: described(WorkerId, 'Id of the worker who submitted'),
          reviewed_by: actor('Who decided: `api_key:<id>`, `member:<id>` … or `system`'),
          reviewed_at: time('When it was decided'),
        },
        { $id: 'TaskReview', description: 'A decision on a submission' },
      ),
      { description: 'The decisions on submissions, oldest first' },
    ),
    failure: nullable(TaskFailure, 'Why the task failed; null unless it has'),
    cancellation: nullable(TaskCancellation, 'Who cancelled the task; null unless it is cancelled'),
    report: Type.Union(
      [
        Type.Object(
          {
            worker_id: WorkerId,
            reason: ReportReason,
            text: nullable(text('What the worker wrote; null for nothing')),
            reported_at: time('When the worker reported the task'),
            decision: nullable(
              word(['reassign', 'reject'], { description: 'What a reviewer decided; null before' }),
            ),
          },
          {
            $id: 'TaskReport',
            description: 'A report of a worker that the task cannot or should not be done',
          },
        ),
        Type.Null(),
      ],
      { description: 'The last report of a worker; while `decision` is null, no worker gets the task' },
    ),
    dispute: Type.Union(
      [
        Type.Object(
          { ...DisputeFields, decided_by: nullable(actor('Who decided; null before')) },
          { $id: 'TaskDispute', description: 'The dispute of a rejection' },
        ),
        Type.Null(),
      ],
      { description: "The worker's dispute of the rejection that ended the task" },
    ),
    open_question: OpenQuestion,
    unread_messages: UnreadMessages,
    created_at: CreatedAt,
    updated_at: UpdatedAt,
    completed_at: nullable(time('When the task completed; null unless it has')),
  },
  { $id: 'Task', description: 'A task as integrators see it' },
);
