// The arguments and results of the tools. Names and nesting are those of the API, so that the JSON pointers in its errors
// are those of the arguments. Limits are left to the API, except where they help an agent to call a tool correctly.

import Type, { type TObject, type TProperties } from 'typebox';
import { STATUSES } from '../state/tasks/lifecycle.ts';
import { URGENCIES } from '../state/tasks/task.ts';

/** Longest wait of one call, seconds. Clients of the protocol give up after about 60. */
export const LONGEST_WAIT = 50;

const closed = <Properties extends TProperties>(properties: Properties): TObject<Properties> =>
  Type.Object(properties, { additionalProperties: false });

const word = <const Words extends readonly string[]>(words: Words, description: string) =>
  Type.Unsafe<Words[number]>({ type: 'string', enum: [...words], description });

const text = (description: string, more: object = {}) => Type.String({ description, ...more });
const texts = (description: string) => Type.Array(Type.String(), { description });
const time = (description: string) => text(`${description}. RFC 3339, such as 2026-11-29T18:00:00Z`);

const UUID = '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$';
const TaskId = text('Id of the task', { pattern: UUID });
const WaitSeconds = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: LONGEST_WAIT,
    description: `How long to wait for the result; default ${LONGEST_WAIT}. 0 returns at once`,
  }),
);

/** What a person is asked to do: the part of a new task that agents decide about. */
const Request = {
  title: text('What is to be done, in one line', { minLength: 1, maxLength: 200 }),
  instructions: text(
    'Everything the person needs to do it, as plain text. They know nothing about your conversation: name all facts, and say what a good answer is',
    { minLength: 1, maxLength: 20_000 },
  ),
  task_type: text(
    'Kind of work, such as review_contract. A type that is registered with the org fills in what you leave out',
    { pattern: '^[a-z][a-z0-9_]{0,63}$' },
  ),
  domain: Type.Optional(
    text('Field of work, such as legal. Required unless the task type is registered with a default', {
      pattern: '^[a-z][a-z0-9_]{0,63}$',
    }),
  ),
  context: Type.Optional(
    closed({
      background: Type.Optional(text('Why this is asked')),
      constraints: Type.Optional(texts('What the answer must respect')),
      risk_notes: Type.Optional(texts('What may go wrong')),
      data: Type.Optional(
        Type.Unsafe<Record<string, unknown>>({ type: 'object', description: 'The material to work on' }),
      ),
    }),
  ),
  sla: Type.Optional(
    Type.Object(
      {
        urgency: word(URGENCIES, 'Order among waiting tasks; critical is offered to people for 30 s only'),
        deadline: Type.Optional(
          time('When the task fails if nobody has accepted it. Keep the same time when you repeat a call'),
        ),
        target_latency_seconds: Type.Optional(
          Type.Integer({ minimum: 1, description: 'Expected time to the answer; lateness is flagged' }),
        ),
      },
      {
        additionalProperties: false,
        description: 'How soon. Required unless the task type is registered with a default',
      },
    ),
  ),
  requirements: Type.Optional(
    Type.Object(
      {
        skills: Type.Optional(texts('The person has all of these')),
        certifications: Type.Optional(texts('The person has all of these')),
        trust_level: Type.Optional(Type.Number({ minimum: 0, maximum: 5 })),
        min_rating: Type.Optional(Type.Number({ minimum: 0, maximum: 5 })),
        worker_pool_id: Type.Optional(text('Only people of this pool; see the resource biolayer://pools')),
        worker_ids: Type.Optional(texts('Only these people, such as the one who answered before')),
        excluded_tasks: Type.Optional(
          texts('Nobody who has worked on one of these tasks, for an independent second opinion'),
        ),
      },
      { additionalProperties: false, description: 'Who may do it; leave out for anybody' },
    ),
  ),
  output: Type.Optional(
    Type.Object(
      {
        expected_format: word(
          ['text', 'structured_json'],
          'text: a written answer; structured_json: JSON that fits the schema',
        ),
        schema: Type.Optional(
          Type.Unsafe<Record<string, unknown>>({
            type: 'object',
            description:
              'With structured_json: a JSON Schema 2020-12 of type object, or for short {"approved": "boolean", "reason": "string?"}',
          }),
        ),
        evidence_required: Type.Optional(
          Type.Boolean({ description: 'Whether the person must attach a file' }),
        ),
        review: Type.Optional(
          closed({
            mode: word(
              ['auto', 'manual'],
              'manual: the answer counts only after review_task; auto (default): at once',
            ),
          }),
        ),
      },
      {
        additionalProperties: false,
        description: 'Form of the answer. Required unless the task type is registered with a default',
      },
    ),
  ),
  metadata: Type.Optional(
    Type.Unsafe<Record<string, string>>({
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'Up to 50 strings that are stored with the task, for you alone',
    }),
  ),
  origin: Type.Optional(
    Type.Object(
      {
        product: text('The program that asks', { minLength: 1, maxLength: 500 }),
        request_id: text('Its own name for this request', { minLength: 1, maxLength: 500 }),
      },
      { additionalProperties: false, description: 'Default: mcp, and the idempotency key' },
    ),
  ),
};

export const RequestHuman = closed({
  idempotency_key: text(
    'Names this request, such as a new UUID. A call with the same key and the same arguments goes on with the same task for 24 hours, also after you were restarted; never use one key for two requests',
    { minLength: 1, maxLength: 255, pattern: '^[\\x20-\\x7e]+$' },
  ),
  ...Request,
  wait_seconds: WaitSeconds,
});
export const PreviewMatch = closed(Request);
export const TaskOnly = closed({ task_id: TaskId });
export const WaitForTask = closed({ task_id: TaskId, wait_seconds: WaitSeconds });
export const CancelTask = closed({
  task_id: TaskId,
  reason: Type.Optional(text('Why, for the person and the history', { maxLength: 2000 })),
});
export const AnswerQuestion = closed({
  task_id: TaskId,
  text: text('The answer, as plain text', { minLength: 1, maxLength: 10_000 }),
  message_id: Type.Optional(
    text('The question that is answered (open_question.message_id); default: the open one', {
      pattern: UUID,
    }),
  ),
});
export const ReviewTask = closed({
  task_id: TaskId,
  version: Type.Integer({
    minimum: 1,
    description: 'version of the task whose submission you have judged; a later one is refused',
  }),
  decision: word(
    ['approve', 'rework', 'reassign', 'reject'],
    'approve: the submission is the result; rework: its worker improves it; reassign: another worker does the task; reject: the task fails',
  ),
  feedback: Type.Optional(
    text('What the worker reads; required for rework and reject', { maxLength: 20_000 }),
  ),
  rating: Type.Optional(
    Type.Number({ minimum: 1, maximum: 5, description: "Quality; counts towards the worker's rating" }),
  ),
});
export const ListTasks = closed({
  status: Type.Optional(
    Type.Array(word(STATUSES, 'State of the task'), { minItems: 1, description: 'In one of these states' }),
  ),
  domain: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
  task_type: Type.Optional(Type.Array(Type.String(), { minItems: 1 })),
  urgency: Type.Optional(Type.Array(word(URGENCIES, 'Urgency'), { minItems: 1 })),
  product: Type.Optional(Type.Array(Type.String(), { minItems: 1, description: 'origin.product' })),
  request_id: Type.Optional(Type.Array(Type.String(), { minItems: 1, description: 'origin.request_id' })),
  has_open_question: Type.Optional(Type.Boolean({ description: 'A worker waits for answer_question' })),
  in_review: Type.Optional(Type.Boolean({ description: 'A submission waits for review_task' })),
  overdue: Type.Optional(Type.Boolean({ description: 'Past its deadline or target' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: 'Default 20' })),
  cursor: Type.Optional(text('next_cursor of the previous page, with the same filters')),
});

const anything = (description: string) => Type.Unsafe<unknown>({ description });
const open = <Properties extends TProperties>(properties: Properties) =>
  Type.Object(properties, { additionalProperties: true });

const State = {
  task_id: Type.String(),
  status: word(STATUSES, 'completed, failed and cancelled are final'),
  version: Type.Integer({ description: 'For review_task' }),
  title: Type.String(),
};

/** The state of a task without what the caller sent. */
export const TaskState = open({
  ...State,
  is_final: Type.Boolean({ description: 'Whether the task is over' }),
  next_step: Type.String({ description: 'What to do now' }),
  poll_after_ms: Type.Optional(
    Type.Integer({ description: 'Unless final: how long to do something else before wait_for_task' }),
  ),
  open_question: anything('What the worker asks, with message_id and text; null: nothing'),
  submission: anything('What the worker handed in last, also before it is accepted'),
  result: anything('The accepted answer: output, evidence, notes; null until completed'),
  failure: anything('Why the task failed: code and message'),
  cancellation: anything('Why the task was cancelled'),
});
export const WholeTask = open(State);
export const TaskPage = open({
  data: Type.Array(
    open({
      ...State,
      task_type: Type.String(),
      domain: Type.String(),
      urgency: Type.String(),
      has_open_question: Type.Boolean(),
      created_at: Type.String(),
    }),
  ),
  has_more: Type.Boolean(),
  next_cursor: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    description: 'cursor of the next page',
  }),
});
export const Match = open({
  reason: Type.String({ description: 'eligible: a worker can be asked now; otherwise why not' }),
  workers: open({
    considered: Type.Integer(),
    qualified: Type.Integer(),
    available: Type.Integer(),
    eligible: Type.Integer(),
  }),
  estimated_wait_seconds: Type.Unsafe<number | null>({ type: ['number', 'null'] }),
});
export const Answered = open({ message_id: Type.String(), task_id: Type.String() });
