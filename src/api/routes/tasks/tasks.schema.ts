// Schemas of a task, as integrators create and read it.

import Type, { type TSchema } from 'typebox';
import { AGREEMENT_MODES } from '../../../state/tasks/agreement.ts';
import { SIDES } from '../../../state/tasks/conversation.ts';
import { EVENT_TYPES, STATUSES } from '../../../state/tasks/lifecycle.ts';
import { REPORT_REASONS } from '../../../state/tasks/report.ts';
import {
  DECISIONS,
  DEFAULT_MAX_ATTEMPTS,
  ESCALATION_CONDITIONS,
  type OnDeadline,
  ORDERINGS,
  SLA_CLOCKS,
  SOFT,
  URGENCIES,
} from '../../../state/tasks/task.ts';
import { POINTER } from '../../../state/text/pointer.ts';
import {
  ClientId,
  closed,
  Labels,
  nullable,
  pageOf,
  Slug,
  Timestamp,
  Uuid,
  word,
} from '../../http/schemas.ts';

const Text = Type.String({ minLength: 1, maxLength: 500 });
const Lines = Type.Array(Type.String());

const Origin = {
  org_id: Type.Optional(Type.String({ description: 'If given, must be the org of the credential' })),
  product: Text,
  request_id: Text,
  created_by: Type.Optional(Type.String({ minLength: 1, maxLength: 500, default: 'api' })),
  created_at: Type.Optional(Timestamp),
};

const Context = Type.Object(
  {
    background: Type.Optional(Type.String()),
    constraints: Type.Optional(Lines),
    risk_notes: Type.Optional(Lines),
    data: Type.Optional(Type.Unsafe<Record<string, unknown>>({ type: 'object' })),
  },
  { additionalProperties: false },
);

const Sla = {
  urgency: word(URGENCIES),
  deadline: Type.Optional(Timestamp),
  target_latency_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 31_536_000 })),
  on_deadline: Type.Optional(
    Type.Unsafe<OnDeadline>({
      type: 'object',
      discriminator: { propertyName: 'action' },
      required: ['action'],
      properties: { action: { type: 'string' } },
      oneOf: [
        closed({ action: Type.Literal('fail') }),
        closed({ action: Type.Literal('complete'), output: Type.Unknown() }),
      ],
      description:
        'What happens at the deadline when no worker has accepted the task, and later when its work is given up; default: it fails',
    }),
  ),
  escalations: Type.Optional(
    Type.Array(
      closed({
        after_seconds: Type.Integer({ minimum: 1, maximum: 31_536_000 }),
        while: word(ESCALATION_CONDITIONS, {
          description: 'unassigned: no worker has accepted; unfinished: there is no submission',
        }),
        urgency: Type.Optional(word(URGENCIES, { description: 'Raises the urgency; never lowers it' })),
        worker_pool_id: Type.Optional(ClientId),
        notify_members: Type.Optional(Type.Array(Uuid, { minItems: 1, maxItems: 20, uniqueItems: true })),
      }),
      {
        maxItems: 10,
        description: 'By time. Each runs once, at this time after creation, if its condition holds then',
      },
    ),
  ),
};

const Soft = {
  skills: Type.Optional(Labels),
  certifications: Type.Optional(Labels),
  trust_level: Type.Optional(Type.Number({ minimum: 0, maximum: 5 })),
  min_rating: Type.Optional(Type.Number({ minimum: 0, maximum: 5 })),
  min_accuracy: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'Least share of known answers (`output.gold`) that the worker gave right',
    }),
  ),
};

const Required = {
  ...Soft,
  hard: Type.Optional(
    Type.Array(word(SOFT), {
      maxItems: SOFT.length,
      uniqueItems: true,
      description: 'Requirements that no relaxation step may change',
    }),
  ),
  steps: Type.Optional(
    Type.Array(
      closed({
        after_seconds: Type.Integer({ minimum: 1, maximum: 31_536_000 }),
        requirements: closed(Soft),
      }),
      {
        maxItems: 10,
        description:
          'Relaxation steps: from this time after creation on, these requirements replace all that are not hard',
      },
    ),
  ),
  worker_pool_id: Type.Optional(ClientId),
  max_attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: DEFAULT_MAX_ATTEMPTS })),
};
const Requirements = closed(Required);

const Review = closed({
  mode: word(['auto', 'manual']),
  auto_approve_after_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 31_536_000 })),
});

/** A media type (RFC 6838, section 4.2), or a range such as image/*. */
const MEDIA_RANGE = '^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/([*]|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126})$';

const Copies = closed({
  count: Type.Integer({ minimum: 2, maximum: 25, description: 'How many workers answer the task' }),
  max_count: Type.Optional(
    Type.Integer({
      minimum: 2,
      maximum: 25,
      description: 'How many at most, when the first answers do not agree; default: count',
    }),
  ),
  agreement: closed({
    mode: word(AGREEMENT_MODES),
    threshold: Type.Optional(
      Type.Number({ minimum: 0, maximum: 1, description: 'Mode threshold: the share that must agree' }),
    ),
    fields: Type.Optional(
      Type.Array(Type.String({ maxLength: 500, pattern: POINTER }), {
        minItems: 1,
        maxItems: 50,
        uniqueItems: true,
        description: 'JSON pointers into the output that are compared; default: the whole output',
      }),
    ),
    tolerance: Type.Optional(
      Type.Number({ minimum: 0, description: 'How far two numbers may be apart and still agree' }),
    ),
  }),
});

const Output = closed({
  expected_format: word(['structured_json', 'text']),
  schema: Type.Optional(
    Type.Unsafe<Record<string, unknown>>({
      type: 'object',
      description: 'Shorthand (name → type) or JSON Schema 2020-12',
    }),
  ),
  evidence_required: Type.Optional(Type.Boolean({ default: false })),
  evidence_types: Type.Optional(
    Type.Array(Type.String({ pattern: MEDIA_RANGE }), {
      minItems: 1,
      maxItems: 20,
      description: 'Accepted media types of evidence, such as image/png or image/*; default: any',
    }),
  ),
  review: Type.Optional(Review),
  copies: Type.Optional(Copies),
  gold: Type.Optional(
    closed({ output: Type.Unknown({ description: 'The expected answer; workers are never shown it' }) }),
  ),
});

const Auth = {
  none: closed({ type: Type.Literal('none') }),
  bearer: closed({
    type: Type.Literal('bearer'),
    // Characters that a header may hold (RFC 9110, section 5.5).
    token: Type.String({ minLength: 1, maxLength: 4096, pattern: '^[\\x20-\\x7e]*$' }),
  }),
  basic: closed({
    type: Type.Literal('basic'),
    username: Type.String({ minLength: 1, maxLength: 500, pattern: '^[^:]*$' }),
    password: Type.String({ maxLength: 4096 }),
  }),
};
type AuthInput = Type.Static<(typeof Auth)['none' | 'bearer' | 'basic']>;

export const ORDERING_DESCRIPTION =
  'per_task: an event waits until the earlier events of its task are delivered or given up, or the earliest has failed for an hour';

const Handoff = {
  callback_url: Type.Optional(Type.String({ maxLength: 2048 })),
  callback_auth: Type.Optional(
    Type.Unsafe<AuthInput>({
      type: 'object',
      discriminator: { propertyName: 'type' },
      required: ['type'],
      properties: { type: { type: 'string' } },
      oneOf: [Auth.none, Auth.bearer, Auth.basic],
    }),
  ),
  retry_policy: Type.Optional(
    closed({
      max_retries: Type.Optional(Type.Integer({ minimum: 0, maximum: 20, default: 6 })),
      backoff_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600, default: 30 })),
    }),
  ),
  events: Type.Optional(Type.Array(word(EVENT_TYPES), { minItems: 1, maxItems: EVENT_TYPES.length })),
  ordering: Type.Optional(word(ORDERINGS, { default: 'none', description: ORDERING_DESCRIPTION })),
};

const Audit = closed({
  log_required: Type.Optional(Type.Boolean({ default: true })),
  retain_days: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650, default: 365 })),
});

/** Most members of `metadata`. */
export const METADATA_MAX = 50;

const Metadata = Type.Unsafe<Record<string, string>>({
  type: 'object',
  additionalProperties: { type: 'string', maxLength: 500 },
  maxProperties: METADATA_MAX,
  description: `Up to ${METADATA_MAX} strings`,
});

const Title = Type.String({ minLength: 1, maxLength: 200 });
const Instructions = Type.String({ minLength: 1, maxLength: 20_000 });
const TypeVersion = Type.Integer({
  minimum: 1,
  description: 'The version of the registered task type whose defaults are used; default: the newest',
});

export const TaskCreate = closed({
  origin: closed(Origin),
  task_type: Slug,
  task_type_version: Type.Optional(TypeVersion),
  domain: Slug,
  title: Title,
  instructions: Instructions,
  context: Type.Optional(Context),
  sla: closed(Sla),
  requirements: Type.Optional(Requirements),
  output: Output,
  handoff: Type.Optional(closed(Handoff)),
  audit: Type.Optional(Audit),
  metadata: Type.Optional(Metadata),
});
export type TaskCreate = Type.Static<typeof TaskCreate>;

const { deadline: _deadline, ...DefaultSla } = Sla;
const { callback_auth: _auth, ...DefaultHandoff } = Handoff;

/** The defaults of a task type: what a task may leave out then. Without secrets, and without a point in time. */
export const TaskDefaults = Type.Partial(
  closed({
    domain: Slug,
    title: Title,
    instructions: Instructions,
    context: Context,
    sla: Type.Partial(closed(DefaultSla), { additionalProperties: false }),
    requirements: Requirements,
    output: Type.Partial(Output, { additionalProperties: false }),
    handoff: closed(DefaultHandoff),
    audit: Audit,
    metadata: Metadata,
  }),
  { additionalProperties: false },
);

/** A JSON merge patch of a task: null removes a member. */
export const TaskUpdate = closed({
  sla: Type.Optional(
    closed({
      urgency: Type.Optional(Sla.urgency),
      deadline: Type.Optional(nullable(Sla.deadline)),
      target_latency_seconds: Type.Optional(nullable(Sla.target_latency_seconds)),
    }),
  ),
  requirements: Type.Optional(nullable(closed(removable(Required)))),
  metadata: Type.Optional(
    nullable(
      Type.Unsafe<Record<string, string | null>>({
        type: 'object',
        additionalProperties: { type: ['string', 'null'], maxLength: 500 },
        maxProperties: 100,
        description: 'Up to 50 strings after the change',
      }),
    ),
  ),
});

/** The properties of an object, each of which may be null. */
function removable<P extends Record<string, TSchema>>(properties: P) {
  const entries = Object.entries(properties).map(([name, schema]) => [name, Type.Optional(nullable(schema))]);
  // Each property of P is there, as a union with null.
  return Object.fromEntries(entries) as { [K in keyof P]: Type.TOptional<Type.TUnion<[P[K], Type.TNull]>> };
}

const Evidence = Type.Object({
  evidence_id: Type.String(),
  name: Type.String(),
  media_type: Type.String(),
  bytes: Type.Integer(),
  sha256: Type.String(),
});

export const Assignment = Type.Object({
  worker_id: Type.String(),
  offer_id: Uuid,
  offered_at: Timestamp,
  accepted_at: Timestamp,
  started_at: nullable(Timestamp),
  submitted_at: nullable(Timestamp),
});

export const Submission = Type.Object({
  output: Type.Unknown(),
  evidence: Type.Array(Evidence),
  notes: nullable(Type.String()),
  worker_id: Type.String(),
  submitted_at: Timestamp,
});

/** The result of a task that completed with the default output of `sla.on_deadline`. */
const DefaultResult = Type.Object({
  output: Type.Unknown(),
  source: Type.Literal('default', { description: 'Only where the result is the output of sla.on_deadline' }),
  evidence: Type.Array(Evidence, { maxItems: 0 }),
  notes: Type.Null(),
  worker_id: Type.Null(),
  submitted_at: Type.Null(),
});

export const OpenQuestion = Type.Union(
  [
    Type.Object({
      message_id: Uuid,
      text: Type.String(),
      author: Type.Object({ kind: word(SIDES), id: nullable(Type.String()) }),
      asked_at: Timestamp,
    }),
    Type.Null(),
  ],
  { description: 'The question that waits for an answer' },
);
export const UnreadMessages = Type.Integer({
  description: 'Messages that the side of the caller has not read; 0 when the task is final',
});

/** Several answers, and the one that counts. */
const Answers = Type.Object({
  output: Type.Unknown({
    description: 'The answer that most agree with, or that the reviewer chose; else null',
  }),
  agreement: Type.Object({
    mode: word(AGREEMENT_MODES),
    agreed: Type.Boolean(),
    share: Type.Number({ description: '`agreeing` of `count`' }),
    count: Type.Integer({ description: 'Number of answers' }),
    agreeing: Type.Integer({ description: 'How many of them agree with the answer that most agree with' }),
  }),
  copies: Type.Array(Submission),
});

export const Task = Type.Object(
  {
    task_id: Uuid,
    org_id: Uuid,
    status: word(STATUSES),
    version: Type.Integer(),
    origin: Type.Object(Origin),
    task_type: Slug,
    task_type_version: Type.Optional(TypeVersion),
    domain: Slug,
    title: Type.String(),
    instructions: Type.String(),
    context: Type.Optional(Context),
    sla: Type.Object({
      ...Sla,
      breaches: Type.Array(
        Type.Object({ clock: word(SLA_CLOCKS), due_at: Timestamp, breached_at: Timestamp }),
      ),
    }),
    requirements: Type.Optional(Requirements),
    output: Output,
    handoff: Type.Optional(
      Type.Object({ ...Handoff, callback_auth: Type.Object({ type: word(['none', 'bearer', 'basic']) }) }),
    ),
    audit: Audit,
    metadata: Type.Optional(Metadata),
    attempt: Type.Integer({ description: 'Increases by one each time accepted work returns to the queue' }),
    assignment: nullable(Assignment),
    submission: Type.Union([Submission, Answers, Type.Null()], {
      description: 'The last submission; kept after rework, reassignment, rejection and failure',
    }),
    result: Type.Union([Submission, Answers, DefaultResult, Type.Null()], {
      description: 'With `output.copies`: the answers and how far they agree',
    }),
    reviews: Type.Array(
      Type.Object({
        decision: word(DECISIONS),
        feedback: nullable(Type.String()),
        rating: nullable(Type.Number()),
        worker_id: Type.String(),
        reviewed_by: Type.String(),
        reviewed_at: Timestamp,
      }),
    ),
    failure: nullable(Type.Object({ code: Type.String(), message: Type.String() })),
    cancellation: nullable(Type.Object({ reason: nullable(Type.String()), cancelled_by: Type.String() })),
    report: Type.Union(
      [
        Type.Object({
          worker_id: Type.String(),
          reason: word(REPORT_REASONS),
          text: nullable(Type.String()),
          reported_at: Timestamp,
          decision: nullable(word(['reassign', 'reject'])),
        }),
        Type.Null(),
      ],
      { description: 'The last report of a worker; while `decision` is null, no worker gets the task' },
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
    type: word(EVENT_TYPES),
    sequence: Type.Integer(),
    status: word(STATUSES),
    previous_status: nullable(word(STATUSES)),
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
export const History = Type.Object({
  ...pageOf(HistoryEntry).properties,
  head: Type.Union([Type.Object({ sequence: Type.Integer(), hash: Type.String() }), Type.Null()], {
    description: 'The last entry of the whole history; null when the history has been purged',
  }),
});
