// Schemas of what integrators send about a task: the body of a new one, the defaults of a task type, an update.

import Type, { type TSchema } from 'typebox';
import { AGREEMENT_MODES } from '../../../state/tasks/agreement.ts';
import { GOLD_TASKS_MOST } from '../../../state/tasks/gold.ts';
import { EVENT_TYPES } from '../../../state/tasks/lifecycle.ts';
import { METADATA_MAX } from '../../../state/tasks/patch.ts';
import {
  DEFAULT_MAX_ATTEMPTS,
  ESCALATION_CONDITIONS,
  type OnDeadline,
  SOFT,
} from '../../../state/tasks/task.ts';
import { POINTER } from '../../../state/text/pointer.ts';
import { matching } from '../../http/patterns.ts';
import {
  ClientId,
  closed,
  described,
  Labels,
  nullable,
  Slug,
  Timestamp,
  Uuid,
  word,
} from '../../http/schemas.ts';
import { DeliveryOrdering, EventType, Urgency } from './enums.schema.ts';
import { TASK_EXAMPLE } from './task-input.example.ts';

const Text = Type.String({ minLength: 1, maxLength: 500 });
const Lines = Type.Array(Type.String());

export const Origin = {
  org_id: Type.Optional(Type.String({ description: 'If given, must be the org of the credential' })),
  product: Text,
  request_id: Text,
  created_by: Type.Optional(Type.String({ minLength: 1, maxLength: 500, default: 'api' })),
  created_at: Type.Optional(Timestamp),
};

export const Context = Type.Object(
  {
    background: Type.Optional(Type.String()),
    constraints: Type.Optional(Lines),
    risk_notes: Type.Optional(Lines),
    data: Type.Optional(Type.Unsafe<Record<string, unknown>>({ type: 'object' })),
  },
  { $id: 'TaskContext', additionalProperties: false },
);

export const Sla = {
  urgency: Urgency,
  deadline: Type.Optional(Timestamp),
  target_latency_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 31_536_000 })),
  on_deadline: Type.Optional(
    Type.Unsafe<OnDeadline>({
      type: 'object',
      discriminator: { propertyName: 'action' },
      required: ['action'],
      properties: { action: { type: 'string' } },
      oneOf: [
        closed({ action: Type.Literal('fail') }, 'FailAtDeadline'),
        closed({ action: Type.Literal('complete'), output: Type.Unknown() }, 'CompleteAtDeadline'),
      ],
      description:
        'What happens at the deadline when no worker has accepted the task, and later when its work is given up; default: it fails',
    }),
  ),
  escalations: Type.Optional(
    Type.Array(
      closed(
        {
          after_seconds: Type.Integer({ minimum: 1, maximum: 31_536_000 }),
          while: word(ESCALATION_CONDITIONS, {
            description: 'unassigned: no worker has accepted; unfinished: there is no submission',
          }),
          urgency: Type.Optional(described(Urgency, 'Raises the urgency; never lowers it')),
          worker_pool_id: Type.Optional(ClientId),
          notify_members: Type.Optional(Type.Array(Uuid, { minItems: 1, maxItems: 20, uniqueItems: true })),
        },
        'Escalation',
      ),
      {
        maxItems: 10,
        description:
          'By time. Each runs once, at this time after the start (creation or not_before), if its condition holds then',
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

const NAMED = { maxItems: 100, uniqueItems: true };
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
      closed(
        {
          after_seconds: Type.Integer({ minimum: 1, maximum: 31_536_000 }),
          requirements: closed(Soft, 'SoftRequirements'),
        },
        'RelaxationStep',
      ),
      {
        maxItems: 10,
        description:
          'Relaxation steps: from this time after the start (creation or not_before) on, these requirements replace all that are not hard',
      },
    ),
  ),
  worker_pool_id: Type.Optional(ClientId),
  worker_ids: Type.Optional(
    Type.Array(ClientId, { ...NAMED, minItems: 1, description: 'Only these workers' }),
  ),
  excluded_worker_ids: Type.Optional(
    Type.Array(ClientId, { ...NAMED, description: 'None of these workers' }),
  ),
  excluded_tasks: Type.Optional(
    Type.Array(Uuid, {
      maxItems: 20,
      uniqueItems: true,
      description: 'Nobody to whom one of these tasks was ever assigned',
    }),
  ),
  max_attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: DEFAULT_MAX_ATTEMPTS })),
};
export const Requirements = closed(Required, 'TaskRequirements');

const Review = closed(
  {
    mode: word(['auto', 'manual']),
    auto_approve_after_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 31_536_000 })),
  },
  'ReviewMode',
);

/** A media type (RFC 6838, section 4.2), or a range such as image/*. */
const MediaRange = matching(
  '^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/([*]|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126})$',
  'must be a media type or range, such as image/png or image/*',
);

const OutputPointer = matching(
  POINTER,
  'must be a JSON Pointer (RFC 6901): empty, or each name after a slash, such as /address/city',
);

const Copies = closed(
  {
    count: Type.Integer({ minimum: 2, maximum: 25, description: 'How many workers answer the task' }),
    max_count: Type.Optional(
      Type.Integer({
        minimum: 2,
        maximum: 25,
        description: 'How many at most, when the first answers do not agree; default: count',
      }),
    ),
    agreement: closed(
      {
        mode: word(AGREEMENT_MODES),
        threshold: Type.Optional(
          Type.Number({ minimum: 0, maximum: 1, description: 'Mode threshold: the share that must agree' }),
        ),
        fields: Type.Optional(
          Type.Array(Type.String({ maxLength: 500, ...OutputPointer }), {
            minItems: 1,
            maxItems: 50,
            uniqueItems: true,
            description: 'JSON pointers into the output that are compared; default: the whole output',
          }),
        ),
        tolerance: Type.Optional(
          Type.Number({ minimum: 0, description: 'How far two numbers may be apart and still agree' }),
        ),
      },
      'AgreementRule',
    ),
  },
  'TaskCopies',
);

const GoldTolerance = Type.Number({
  minimum: 0,
  description: 'How far a number may be from the expected one; default: `copies.agreement.tolerance`, or 0',
});

export const Output = closed(
  {
    expected_format: word(['structured_json', 'text']),
    schema: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        description: 'Shorthand (name → type) or JSON Schema 2020-12',
      }),
    ),
    evidence_required: Type.Optional(Type.Boolean({ default: false })),
    evidence_types: Type.Optional(
      Type.Array(Type.String(MediaRange), {
        minItems: 1,
        maxItems: 20,
        description: 'Accepted media types of evidence, such as image/png or image/*; default: any',
      }),
    ),
    review: Type.Optional(Review),
    copies: Type.Optional(Copies),
    gold: Type.Optional(
      closed(
        {
          output: Type.Unknown({ description: 'The expected answer; workers are never shown it' }),
          tolerance: Type.Optional(GoldTolerance),
        },
        'GoldAnswer',
      ),
    ),
  },
  'TaskOutput',
);

const Auth = {
  none: closed({ type: Type.Literal('none') }, 'NoAuth'),
  bearer: closed(
    {
      type: Type.Literal('bearer'),
      // Characters that a header may hold (RFC 9110, section 5.5).
      token: Type.String({
        minLength: 1,
        maxLength: 4096,
        ...matching('^[\\x20-\\x7e]*$', 'must have only printable ASCII characters'),
      }),
    },
    'BearerAuth',
  ),
  basic: closed(
    {
      type: Type.Literal('basic'),
      username: Type.String({
        minLength: 1,
        maxLength: 500,
        ...matching('^[^:]*$', 'must not contain a colon'),
      }),
      password: Type.String({ maxLength: 4096 }),
    },
    'BasicAuth',
  ),
};
type AuthInput = Type.Static<(typeof Auth)['none' | 'bearer' | 'basic']>;

export const ORDERING_DESCRIPTION =
  'per_task: an event waits until the earlier events of its task are delivered or given up, or the earliest has failed for an hour; default: none';

export const Handoff = {
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
    closed(
      {
        max_retries: Type.Optional(Type.Integer({ minimum: 0, maximum: 20, default: 6 })),
        backoff_seconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600, default: 30 })),
      },
      'RetryPolicy',
    ),
  ),
  events: Type.Optional(Type.Array(EventType, { minItems: 1, maxItems: EVENT_TYPES.length })),
  ordering: Type.Optional(described(DeliveryOrdering, ORDERING_DESCRIPTION)),
};

export const Audit = closed(
  {
    log_required: Type.Optional(Type.Boolean({ default: true })),
    retain_days: Type.Optional(Type.Integer({ minimum: 1, maximum: 3650, default: 365 })),
  },
  'TaskAudit',
);

export const Metadata = Type.Unsafe<Record<string, string>>({
  type: 'object',
  additionalProperties: { type: 'string', maxLength: 500 },
  maxProperties: METADATA_MAX,
  description: `Up to ${METADATA_MAX} strings`,
});

const Title = Type.String({ minLength: 1, maxLength: 200 });
const Instructions = Type.String({ minLength: 1, maxLength: 20_000 });
export const TypeVersion = Type.Integer({
  minimum: 1,
  description: 'The version of the registered task type whose defaults are used; default: the newest',
});

export const NotBefore = Type.String({
  format: 'date-time',
  description:
    'Until then the task stays `created`, and its clocks start there; at most 365 days ahead, and earlier than the deadline. In the past: no effect',
});

export const TaskCreate = Type.Object(
  {
    origin: closed(Origin, 'TaskOriginInput'),
    task_type: Slug,
    task_type_version: Type.Optional(TypeVersion),
    domain: Slug,
    title: Title,
    instructions: Instructions,
    not_before: Type.Optional(NotBefore),
    context: Type.Optional(Context),
    sla: closed(Sla, 'TaskSlaInput'),
    requirements: Type.Optional(Requirements),
    output: Output,
    handoff: Type.Optional(closed(Handoff, 'TaskHandoffInput')),
    audit: Type.Optional(Audit),
    metadata: Type.Optional(Metadata),
  },
  { $id: 'TaskCreate', additionalProperties: false, examples: [TASK_EXAMPLE] },
);
export type TaskCreate = Type.Static<typeof TaskCreate>;

const { deadline: _deadline, ...DefaultSla } = Sla;
const { callback_auth: _auth, ...DefaultHandoff } = Handoff;

const GoldTask = closed(
  {
    title: Type.Optional(Title),
    instructions: Type.Optional(Instructions),
    context: Type.Optional(Context),
    output: Type.Unknown({ description: 'The expected answer, valid under `output.schema` of the type' }),
    tolerance: Type.Optional(GoldTolerance),
  },
  'GoldTask',
);

const DEFAULTS_EXAMPLE = {
  domain: 'images',
  title: 'What is in the picture?',
  instructions: 'Name the animal.',
  sla: { urgency: 'normal', target_latency_seconds: 900 },
  output: { expected_format: 'structured_json', schema: { animal: 'string' } },
  gold_rate: 0.05,
  gold_tasks: [{ context: { data: { picture: 'p-17' } }, output: { animal: 'cat' } }],
};

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
    gold_rate: Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'With which share of the new tasks of this type a gold task is created; with `gold_tasks`',
    }),
    gold_tasks: Type.Array(GoldTask, {
      minItems: 1,
      maxItems: GOLD_TASKS_MOST,
      description:
        'Tasks with a known answer, of which gold tasks are made. The title, instructions and context of the type are used where they have none. Workers cannot tell gold tasks from others',
    }),
  }),
  { $id: 'TaskDefaults', additionalProperties: false, examples: [DEFAULTS_EXAMPLE] },
);

/** A JSON merge patch of a task: null removes a member. */
export const TaskUpdate = closed(
  {
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
  },
  'TaskUpdate',
);

export type TaskUpdate = Type.Static<typeof TaskUpdate>;

/** The properties of an object, each of which may be null. */
function removable<P extends Record<string, TSchema>>(properties: P) {
  const entries = Object.entries(properties).map(([name, schema]) => [name, Type.Optional(nullable(schema))]);
  // Each property of P is there, as a union with null.
  return Object.fromEntries(entries) as { [K in keyof P]: Type.TOptional<Type.TUnion<[P[K], Type.TNull]>> };
}
