// Schemas of the answer that a task asks for.

import Type from 'typebox';
import { AGREEMENT_MODES } from '../../../state/tasks/agreement.ts';
import { POINTER } from '../../../state/text/pointer.ts';
import { patternWithRule } from '../../http/pattern-rules.ts';
import { closed, word } from '../../http/schemas.ts';

export const AgreementMode = word(AGREEMENT_MODES, {
  $id: 'AgreementMode',
  description: 'Share of the answers that must agree: all, more than half, or `threshold`',
});

const Review = closed(
  {
    mode: word(['auto', 'manual'], {
      description: 'auto: a valid submission completes the task. manual: a reviewer decides',
    }),
    auto_approve_after_seconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 31_536_000,
        description: 'Mode manual: seconds after which a submission that nobody reviewed is approved',
      }),
    ),
  },
  'ReviewMode',
  'Who decides on submissions; default: auto',
);

/** A media type (RFC 6838, section 4.2), or a range such as image/*. */
const MediaRange = patternWithRule(
  '^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/([*]|[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126})$',
  'must be a media type or range, such as image/png or image/*',
);

const OutputPointer = patternWithRule(
  POINTER,
  'must be a JSON Pointer (RFC 6901): empty, or each name after a slash, such as /address/city',
);

export const GoldTolerance = Type.Number({
  minimum: 0,
  description: 'How far a number may be from the expected one; default: `copies.agreement.tolerance`, or 0',
});

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
        mode: AgreementMode,
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
      'When answers count as the same, and how many must be',
    ),
  },
  'TaskCopies',
  'Several workers answer the task, each without seeing the others',
);

export const Output = closed(
  {
    expected_format: word(['structured_json', 'text'], {
      description: 'Form of the answer: JSON that fits `schema`, or text',
    }),
    schema: Type.Optional(
      Type.Unsafe<Record<string, unknown>>({
        type: 'object',
        description: 'Shorthand (name → type) or JSON Schema 2020-12',
      }),
    ),
    evidence_required: Type.Optional(
      Type.Boolean({ default: false, description: 'Whether a submission needs at least one file' }),
    ),
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
        'The known answer of a task that measures accuracy',
      ),
    ),
  },
  'TaskOutput',
  'The answer that is asked for',
);
