// Schemas of a task, its history and their parts as integrators read them.

import Type from 'typebox';
import { AGREEMENT_MODES } from '../../../state/tasks/agreement.ts';
import { SIDES } from '../../../state/tasks/conversation.ts';
import { DISPUTE_DAYS, DISPUTE_STATUSES } from '../../../state/tasks/dispute.ts';
import { nullable, pageOf, Slug, Timestamp, Uuid, word } from '../../http/schemas.ts';
import { EventType, ReportReason, ReviewDecision, SlaClock, TaskStatus } from './enums.schema.ts';
import { Evidence } from './evidence.schema.ts';
import {
  Audit,
  Context,
  Handoff,
  Metadata,
  NotBefore,
  Origin,
  Output,
  Requirements,
  Sla,
  TypeVersion,
} from './task-input.schema.ts';

export const Author = Type.Object({ kind: word(SIDES), id: nullable(Type.String()) }, { $id: 'Author' });

export const Assignment = Type.Object(
  {
    worker_id: Type.String(),
    offer_id: Uuid,
    offered_at: Timestamp,
    accepted_at: Timestamp,
    started_at: nullable(Timestamp),
    submitted_at: nullable(Timestamp),
  },
  { $id: 'Assignment' },
);

export const Submission = Type.Object(
  {
    output: Type.Unknown(),
    evidence: Type.Array(Evidence),
    notes: nullable(Type.String()),
    worker_id: Type.String(),
    submitted_at: Timestamp,
  },
  { $id: 'Submission' },
);

/** The result of a task that completed with the default output of `sla.on_deadline`. */
const DefaultResult = Type.Object(
  {
    output: Type.Unknown(),
    source: Type.Literal('default', {
      description: 'Only where the result is the output of sla.on_deadline',
    }),
    evidence: Type.Array(Evidence, { maxItems: 0 }),
    notes: Type.Null(),
    worker_id: Type.Null(),
    submitted_at: Type.Null(),
  },
  { $id: 'DefaultResult' },
);

export const OpenQuestion = Type.Union(
  [
    Type.Object(
      {
        message_id: Uuid,
        text: Type.String(),
        author: Author,
        asked_at: Timestamp,
      },
      { $id: 'OpenQuestion' },
    ),
    Type.Null(),
  ],
  { description: 'The question that waits for an answer' },
);
export const UnreadMessages = Type.Integer({
  description: 'Messages that the side of the caller has not read; 0 when the task is final',
});

export const Attempt = Type.Integer({
  description: 'Increases by one each time accepted work returns to the queue',
});

const DisputeFields = {
  worker_id: Type.String(),
  text: Type.String(),
  opened_at: Timestamp,
  status: word(DISPUTE_STATUSES),
  decision_text: nullable(Type.String({ description: 'What the reviewer wrote' })),
  decided_at: nullable(Timestamp),
};
/** A dispute as its worker sees it. */
export const OwnDispute = Type.Object(DisputeFields, { $id: 'OwnDispute' });

export const DisputableUntil = nullable(
  Type.String({
    format: 'date-time',
    description: `When the rejection that ended the task can no longer be disputed, ${DISPUTE_DAYS} days after it; null when there is none, or it was disputed before`,
  }),
);

/** Several answers, and the one that counts. */
const Answers = Type.Object(
  {
    output: Type.Unknown({
      description: 'The answer that most agree with, or that the reviewer chose; else null',
    }),
    agreement: Type.Object(
      {
        mode: word(AGREEMENT_MODES),
        agreed: Type.Boolean(),
        share: Type.Number({ description: '`agreeing` of `count`' }),
        count: Type.Integer({ description: 'Number of answers' }),
        agreeing: Type.Integer({
          description: 'How many of them agree with the answer that most agree with',
        }),
      },
      { $id: 'Agreement' },
    ),
    copies: Type.Array(Submission),
  },
  { $id: 'CopiesResult' },
);

export const Task = Type.Object(
  {
    task_id: Uuid,
    org_id: Uuid,
    status: TaskStatus,
    version: Type.Integer(),
    origin: Type.Object(Origin, { $id: 'TaskOrigin' }),
    gold: Type.Optional(
      Type.Literal(true, { description: 'Only on gold tasks, which the task type created (`gold_tasks`)' }),
    ),
    task_type: Slug,
    task_type_version: Type.Optional(TypeVersion),
    domain: Slug,
    title: Type.String(),
    instructions: Type.String(),
    not_before: Type.Optional(NotBefore),
    context: Type.Optional(Context),
    sla: Type.Object(
      {
        ...Sla,
        breaches: Type.Array(
          Type.Object({ clock: SlaClock, due_at: Timestamp, breached_at: Timestamp }, { $id: 'SlaBreach' }),
        ),
      },
      { $id: 'TaskSla' },
    ),
    requirements: Type.Optional(Requirements),
    output: Output,
    handoff: Type.Optional(
      Type.Object(
        { ...Handoff, callback_auth: Type.Object({ type: word(['none', 'bearer', 'basic']) }) },
        { $id: 'TaskHandoff' },
      ),
    ),
    audit: Audit,
    metadata: Type.Optional(Metadata),
    attempt: Attempt,
    assignment: nullable(Assignment),
    submission: Type.Union([Submission, Answers, Type.Null()], {
      description: 'The last submission; kept after rework, reassignment, rejection and failure',
    }),
    result: Type.Union([Submission, Answers, DefaultResult, Type.Null()], {
      description: 'With `output.copies`: the answers and how far they agree',
    }),
    reviews: Type.Array(
      Type.Object(
        {
          decision: ReviewDecision,
          feedback: nullable(Type.String()),
          rating: nullable(Type.Number()),
          worker_id: Type.String(),
          reviewed_by: Type.String(),
          reviewed_at: Timestamp,
        },
        { $id: 'TaskReview' },
      ),
    ),
    failure: nullable(Type.Object({ code: Type.String(), message: Type.String() }, { $id: 'TaskFailure' })),
    cancellation: nullable(
      Type.Object(
        { reason: nullable(Type.String()), cancelled_by: Type.String() },
        { $id: 'TaskCancellation' },
      ),
    ),
    report: Type.Union(
      [
        Type.Object(
          {
            worker_id: Type.String(),
            reason: ReportReason,
            text: nullable(Type.String()),
            reported_at: Timestamp,
            decision: nullable(word(['reassign', 'reject'])),
          },
          { $id: 'TaskReport' },
        ),
        Type.Null(),
      ],
      { description: 'The last report of a worker; while `decision` is null, no worker gets the task' },
    ),
    dispute: Type.Union(
      [
        Type.Object({ ...DisputeFields, decided_by: nullable(Type.String()) }, { $id: 'TaskDispute' }),
        Type.Null(),
      ],
      { description: "The worker's dispute of the rejection that ended the task" },
    ),
    open_question: OpenQuestion,
    unread_messages: UnreadMessages,
    created_at: Timestamp,
    updated_at: Timestamp,
    completed_at: nullable(Timestamp),
  },
  { $id: 'Task' },
);

export const HistoryEntry = Type.Object(
  {
    event_id: Uuid,
    type: EventType,
    sequence: Type.Integer(),
    status: TaskStatus,
    previous_status: nullable(TaskStatus),
    at: Timestamp,
    actor: Type.String({ description: '`api_key:<id>`, `worker:<id>` or `system`' }),
    attempt_of_task: Type.Integer(),
    data: Type.Unsafe<Record<string, unknown>>({ type: 'object' }),
    hash: Type.String({ description: 'SHA-256 (hex) of the RFC 8785 JSON of this entry without `hash`' }),
    previous_hash: nullable(Type.String()),
  },
  { $id: 'HistoryEntry' },
);

/** A page of a history, with the end of the whole history. */
export const History = Type.Object(
  {
    ...pageOf(HistoryEntry).properties,
    head: Type.Union([Type.Object({ sequence: Type.Integer(), hash: Type.String() }), Type.Null()], {
      description: 'The last entry of the whole history; null when the history has been purged',
    }),
  },
  { $id: 'HistoryPage' },
);
