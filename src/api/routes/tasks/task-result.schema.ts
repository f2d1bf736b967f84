// Schemas of who does a task and of what they hand in.

import Type from 'typebox';
import { actor, idOf, label, nullable, text, time, WorkerId } from '../../http/schemas.ts';
import { Evidence } from './evidence.schema.ts';
import { AgreementMode } from './task-output.schema.ts';

export const Assignment = Type.Object(
  {
    worker_id: WorkerId,
    offer_id: idOf('offer that the worker accepted'),
    offered_at: time('When the task was offered to the worker'),
    accepted_at: time('When the worker accepted it'),
    started_at: nullable(time('When the worker started; null before')),
    submitted_at: nullable(time('When the worker last submitted; null before')),
  },
  { $id: 'Assignment', description: 'The worker who has the task' },
);

const OUTPUT = { description: 'The answer: JSON that fits the output schema, or text' };

export const Submission = Type.Object(
  {
    output: Type.Unknown(OUTPUT),
    evidence: Type.Array(Evidence, { description: 'The files that the worker handed in' }),
    notes: nullable(text('What the worker noted besides; null for nothing')),
    worker_id: WorkerId,
    submitted_at: time('When the worker submitted'),
  },
  { $id: 'Submission', description: 'What a worker handed in' },
);

/** The result of a task that completed with the default output of `sla.on_deadline`. */
export const DefaultResult = Type.Object(
  {
    output: Type.Unknown({ description: 'The output of `sla.on_deadline`' }),
    source: Type.Literal('default', {
      description: 'Only where the result is the output of sla.on_deadline',
    }),
    evidence: Type.Array(Evidence, { maxItems: 0, description: 'None' }),
    notes: Type.Null({ description: 'None' }),
    worker_id: Type.Null({ description: 'No worker' }),
    submitted_at: Type.Null({ description: 'No submission' }),
  },
  { $id: 'DefaultResult', description: 'The default output of a task that no worker did in time' },
);

/** Several answers, and the one that counts. */
export const CopiesResult = Type.Object(
  {
    output: Type.Unknown({
      description: 'The answer that most agree with, or that the reviewer chose; else null',
    }),
    agreement: Type.Object(
      {
        mode: AgreementMode,
        agreed: Type.Boolean({ description: 'Whether enough answers agree' }),
        share: Type.Number({ minimum: 0, maximum: 1, description: '`agreeing` of `count`' }),
        count: Type.Integer({ minimum: 0, description: 'Number of answers' }),
        agreeing: Type.Integer({
          minimum: 0,
          description: 'How many of them agree with the answer that most agree with',
        }),
      },
      { $id: 'Agreement', description: 'How far the answers agree' },
    ),
    copies: Type.Array(Submission, { description: 'The answers, by when they were submitted' }),
  },
  { $id: 'CopiesResult', description: 'The answers of several workers' },
);

export const TaskFailure = Type.Object(
  {
    code: label('Stable code of the reason, such as `deadline_exceeded`'),
    message: label('The reason in words'),
  },
  { $id: 'TaskFailure', description: 'Why the task failed' },
);

export const TaskCancellation = Type.Object(
  {
    reason: nullable(text('The reason that was given; null for none')),
    cancelled_by: actor('Who cancelled, such as `api_key:<id>`'),
  },
  { $id: 'TaskCancellation', description: 'Who cancelled the task, and why' },
);
