// Schemas that several resources share, and short names for types that TypeBox does not provide.

import Type, { type TSchema } from 'typebox';
import { patternWithRule } from './pattern-rules.ts';
import { MAX_DETAIL, PROBLEMS, type ProblemCode } from './problem.ts';

/** One of a list of strings. */
export function word<const T extends readonly string[]>(values: T, options: Record<string, unknown> = {}) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options });
}

/** A value of the schema, or null. @param description for a named schema; others keep their own */
export function nullable<T extends TSchema>(schema: T, description?: string) {
  return Type.Union([schema, Type.Null()], description === undefined ? {} : { description });
}

export const Timestamp = Type.String({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' });
export const Uuid = Type.String({ format: 'uuid' });
export const Slug = Type.String(
  patternWithRule(
    '^[a-z][a-z0-9_]{0,63}$',
    'must be 1 to 64 lower-case letters, digits and underscores, and start with a letter, such as phone_check',
  ),
);
/** An id that the client can choose. */
export const ClientId = Type.String(
  patternWithRule('^[A-Za-z0-9_-]{1,64}$', 'must be 1 to 64 letters, digits, hyphens and underscores'),
);
export const Label = Type.String({ minLength: 1, maxLength: 200 });
export const Labels = Type.Array(Label, { maxItems: 200 });

/** The schema with another description. */
export function described<T extends TSchema>(schema: T, description: string): T {
  // TypeBox keeps what it knows of a schema, such as that it is optional, in properties that are not enumerable.
  return Object.defineProperties(
    { ...schema },
    {
      ...Object.getOwnPropertyDescriptors(schema),
      description: { value: description, enumerable: true },
    },
  );
}

/** Id of a resource. */
export function idOf(what: string) {
  return Type.String({ format: 'uuid', description: `Id of the ${what}` });
}

export const WorkerId = described(ClientId, 'Id of the worker');
export const PoolId = described(ClientId, 'Id of the pool');

/** A point in time. @param what happens or happened then */
export function time(what: string) {
  return described(Timestamp, what);
}

export const CreatedAt = time('When it was created');
export const UpdatedAt = time('When it was last changed');

/** A number of things, from 0. */
export function count(what: string) {
  return Type.Integer({ minimum: 0, description: what });
}

/** Free text. @param limits of its length or form */
export function text(
  description: string,
  limits: { minLength?: number; maxLength?: number; pattern?: string } = {},
) {
  return Type.String({ ...limits, description });
}

/** A text that is never empty. @param maxLength in characters */
export function label(description: string, maxLength?: number) {
  return text(description, { minLength: 1, ...(maxLength !== undefined && { maxLength }) });
}

/** Who did something. */
export function actor(description = '`api_key:<id>`, `worker:<id>`, `member:<id>` … or `system`') {
  return text(description, { pattern: '^[a-z_]+(:|$)' });
}

/** A SHA-256 hash in hexadecimal. */
export function sha256(description: string) {
  return text(description, { pattern: '^[0-9a-f]{64}$' });
}

/** Longest cursor, in characters. */
const MAX_CURSOR = 1000;

/** The cursor of a request. */
export function cursorIn(description: string) {
  return Type.Optional(Type.String({ maxLength: MAX_CURSOR, description }));
}

/** The cursor with which the caller goes on; null at the end. */
export function nextCursor(description: string) {
  return nullable(label(description, MAX_CURSOR));
}

/** Scopes in responses. */
export function scopes(description: string) {
  return Type.Array(Type.String({ pattern: '^(\\*|[a-z_]+:[a-z_]+)$' }), { description });
}

/** An object that permits no other fields. @param name of the schema in the OpenAPI document */
export function closed<P extends Record<string, TSchema>>(
  properties: P,
  name?: string,
  description?: string,
) {
  return Type.Object(properties, {
    additionalProperties: false,
    ...(name !== undefined && { $id: name }),
    ...(description !== undefined && { description }),
  });
}

/** What a requirement demands; a list of ids for one that names workers or tasks. */
export const Wanted = Type.Unsafe<string | number | boolean | string[]>({
  type: ['string', 'number', 'boolean', 'array'],
  items: { type: 'string' },
  description: 'The value that the task requires',
});

/** The same for errors. Every operation has this schema, and the linter's score counts each level of it, so it is flat. */
const WantedOfProblem = Type.Unsafe<Type.Static<typeof Wanted>>({
  ...Wanted,
  items: true,
  description: 'The value that the task requires; a list holds ids',
});

export const Problem = Type.Object(
  {
    type: Type.String({
      format: 'uri-reference',
      description: 'Where the code is explained, relative to the server: `/docs/errors#…`',
    }),
    title: label('What the kind of error means, in a few words'),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'HTTP status of the response' }),
    detail: text('What is wrong with this request', { maxLength: MAX_DETAIL }),
    code: word(Object.keys(PROBLEMS) as ProblemCode[], {
      description: 'Stable; `type` and `title` follow from it',
    }),
    request_id: label('Id of the request, as in the header `Request-Id`', 128),
    errors: Type.Optional(
      Type.Array(
        Type.Object(
          {
            pointer: Type.String({
              format: 'json-pointer',
              description: 'JSON Pointer (RFC 6901) of the field',
            }),
            message: label('The rule that the field breaks'),
            parameter: Type.Optional(label('The query parameter, for `invalid_query`')),
          },
          { $id: 'FieldError' },
        ),
        { minItems: 1, maxItems: 50, description: 'All faults of the body or query, up to 50' },
      ),
    ),
    quota: Type.Optional(label('With `quota_exceeded`: the limit that is reached')),
    reasons: Type.Optional(
      Type.Array(
        Type.Object(
          {
            reason: label('The requirement, or the state of the worker'),
            wanted: Type.Optional(WantedOfProblem),
            has: Type.Optional(Type.Number({ description: 'The value of the worker' })),
          },
          { $id: 'IneligibilityReason' },
        ),
        {
          description:
            'With `worker_not_eligible`: requirements that the worker does not meet, or their state',
        },
      ),
    ),
  },
  { $id: 'Problem', description: 'RFC 9457 problem details' },
);

const order = (first: 'asc' | 'desc') =>
  Type.Optional(
    word(['asc', 'desc'], { default: first, description: 'By creation; `desc` starts with the newest' }),
  );

/** Query parameters of every list. */
export const PageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Most items of the page' }),
  ),
  cursor: cursorIn('`next_cursor` of the previous page, with the same filters; default: the first page'),
  order: order('desc'),
};
/** Those of a list that starts with the oldest by default. */
export const OldestFirst = { ...PageQuery, order: order('asc') };

/** A query parameter that may be repeated or, unless it is free text, be a comma-separated list. */
export function listOf<T extends TSchema>(schema: T, description: string) {
  return Type.Optional(Type.Array(schema, { minItems: 1, maxItems: 50, description }));
}

/** A page of a list, as `listResponse` returns it. */
export function pageOf(item: TSchema & { $id?: string }) {
  return Type.Object(
    {
      data: Type.Array(item, { description: 'The items of the page' }),
      has_more: Type.Boolean({ description: 'Whether there are more items' }),
      next_cursor: nextCursor('`cursor` of the next page; null on the last'),
    },
    item.$id === undefined ? {} : { $id: `${item.$id}Page` },
  );
}

const PoolName = Type.String(
  patternWithRule(
    '^(\\*|[A-Za-z0-9_-]{1,64})$',
    'must be the id of a pool (1 to 64 letters, digits, hyphens and underscores), or * for all pools',
  ),
);
const POOLS = 'Pools whose tasks and workers the credential may use; `*` for all';
/** Pools that a credential is confined to; `*` for all. */
export const PoolList = Type.Array(PoolName, {
  minItems: 1,
  maxItems: 100,
  uniqueItems: true,
  description: POOLS,
});
/** The same in responses. */
export const Pools = Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
  maxItems: 100,
  description: POOLS,
});
