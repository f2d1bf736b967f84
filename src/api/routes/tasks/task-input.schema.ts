// Schemas of what integrators send about a task: the body of a new one, the defaults of a task type, an update.

import Type, { type TSchema } from 'typebox';
import { MAX_GOLD_TASKS } from '../../../state/tasks/gold.ts';
import { MAX_METADATA } from '../../../state/tasks/patch.ts';
import { TASK_EXAMPLE } from '../../docs/task-example.ts';
import { closed, described, nullable, Slug, text, time } from '../../http/schemas.ts';
import { Handoff } from './task-handoff.schema.ts';
import { GoldTolerance, Output } from './task-output.schema.ts';
import { Required, Requirements } from './task-requirements.schema.ts';
import { Sla } from './task-sla.schema.ts';

const Text = Type.String({ minLength: 1, maxLength: 500 });
const lines = (description: string) => Type.Optional(Type.Array(Type.String(), { description }));

export const Origin = {
  org_id: Type.Optional(Type.String({ description: 'If given, must be the org of the credential' })),
  product: described(Text, 'The product or system that the task comes from'),
  request_id: described(Text, "The integrator's own id of the request"),
  created_by: Type.Optional(
    Type.String({ minLength: 1, maxLength: 500, default: 'api', description: 'Who or what asked for it' }),
  ),
  created_at: Type.Optional(time('When it was asked for, by the clock of the integrator')),
};

export const Context = Type.Object(
  {
    background: Type.Optional(text('What the worker should know first')),
    constraints: lines('What the worker must or must not do'),
    risk_notes: lines('What may go wrong'),
    data: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({ type: 'object', description: 'Any data that the work needs' }),
    ),
  },
  {
    $id: 'TaskContext',
    additionalProperties: false,
    description: 'What the worker is told besides the instructions',
  },
);

export const Audit = closed(
  {
    log_required: Type.Optional(
      Type.Boolean({ default: true, description: 'false: the history is purged when the task ends' }),
    ),
    retain_days: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 3650,
        default: 365,
        description: 'Days after its end until the task is purged',
      }),
    ),
  },
  'TaskAudit',
  'How long the task and its history are kept',
);

export const Metadata = Type.Unsafe<Record<string, string>>({
  type: 'object',
  additionalProperties: { type: 'string', maxLength: 500 },
  maxProperties: MAX_METADATA,
  description: `Up to ${MAX_METADATA} strings of your own; events carry them too`,
});

export const TaskTypeName = described(
  Slug,
  'Kind of work; the name of a registered task type fills in its defaults',
);
export const Domain = described(Slug, 'Field of work, such as `incident_response`');
export const Title = Type.String({
  minLength: 1,
  maxLength: 200,
  description: 'What the task is, in one line',
});
export const Instructions = Type.String({
  minLength: 1,
  maxLength: 20_000,
  description: 'What the worker is to do',
});
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
    origin: closed(Origin, 'TaskOriginInput', 'Where the task comes from'),
    task_type: TaskTypeName,
    task_type_version: Type.Optional(TypeVersion),
    domain: Domain,
    title: Title,
    instructions: Instructions,
    not_before: Type.Optional(NotBefore),
    context: Type.Optional(Context),
    sla: closed(Sla, 'TaskSlaInput', 'Urgency and due times'),
    requirements: Type.Optional(Requirements),
    output: Output,
    handoff: Type.Optional(
      closed(Handoff, 'TaskHandoffInput', 'Where and how the events of the task are sent'),
    ),
    audit: Type.Optional(Audit),
    metadata: Type.Optional(Metadata),
  },
  { $id: 'TaskCreate', additionalProperties: false, description: 'A new task', examples: [TASK_EXAMPLE] },
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
  'A task with a known answer',
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
    domain: Domain,
    title: Title,
    instructions: Instructions,
    context: Context,
    sla: Type.Partial(closed(DefaultSla), {
      $id: 'TaskSlaDefaults',
      additionalProperties: false,
      description: 'Urgency and target latency',
    }),
    requirements: Requirements,
    output: Type.Partial(Output, {
      $id: 'TaskOutputDefaults',
      additionalProperties: false,
      description: 'The answer that is asked for',
    }),
    handoff: closed(DefaultHandoff, 'TaskHandoffDefaults', 'Where and how the events of the tasks are sent'),
    audit: Audit,
    metadata: Metadata,
    gold_rate: Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'With which share of the new tasks of this type a gold task is created; with `gold_tasks`',
    }),
    gold_tasks: Type.Array(GoldTask, {
      minItems: 1,
      maxItems: MAX_GOLD_TASKS,
      description:
        'Tasks with a known answer, of which gold tasks are made. The title, instructions and context of the type are used where they have none. Workers cannot tell gold tasks from others',
    }),
  }),
  {
    $id: 'TaskDefaults',
    additionalProperties: false,
    description: 'What a task of this type may leave out',
    examples: [DEFAULTS_EXAMPLE],
  },
);

/** A JSON merge patch of a task: null removes a member. */
export const TaskUpdate = closed(
  {
    sla: Type.Optional(
      closed(
        {
          urgency: Type.Optional(Sla.urgency),
          deadline: Type.Optional(nullable(Sla.deadline)),
          target_latency_seconds: Type.Optional(nullable(Sla.target_latency_seconds)),
        },
        'TaskSlaUpdate',
        'Changes of urgency and due times',
      ),
    ),
    requirements: Type.Optional(
      nullable(
        closed(removable(Required), 'TaskRequirementsUpdate', 'Changes of what a worker must have'),
        'Changes of what a worker must have; null removes all requirements',
      ),
    ),
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
  'A JSON merge patch (RFC 7396): null removes a member',
);

export type TaskUpdate = Type.Static<typeof TaskUpdate>;

/** The properties of an object, each of which may be null. */
function removable<P extends Record<string, TSchema>>(properties: P) {
  const entries = Object.entries(properties).map(([name, schema]) => [name, Type.Optional(nullable(schema))]);
  // Each property of P is there, as a union with null.
  return Object.fromEntries(entries) as { [K in keyof P]: Type.TOptional<Type.TUnion<[P[K], Type.TNull]>> };
}
