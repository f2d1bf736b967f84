// Schemas that several resources share, and short names for types that TypeBox does not provide.

import Type, { type TSchema } from 'typebox';
import { matching } from './patterns.ts';
import { PROBLEMS, type ProblemCode } from './problem.ts';

/** One of a list of strings. */
export function word<const T extends readonly string[]>(values: T, options: Record<string, unknown> = {}) {
  return Type.Unsafe<T[number]>({ type: 'string', enum: values, ...options });
}

/** A value of the schema, or null. */
export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()]);
}

export const Timestamp = Type.String({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' });
export const Uuid = Type.String({ format: 'uuid' });
export const Slug = Type.String(
  matching(
    '^[a-z][a-z0-9_]{0,63}$',
    'must be 1 to 64 lower-case letters, digits and underscores, and start with a letter, such as phone_check',
  ),
);
/** An id that the client can choose. */
export const ClientId = Type.String(
  matching('^[A-Za-z0-9_-]{1,64}$', 'must be 1 to 64 letters, digits, hyphens and underscores'),
);
const Label = Type.String({ minLength: 1, maxLength: 200 });
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

/** Id of a resource, as a path parameter. */
export function idOf(what: string) {
  return Type.String({ format: 'uuid', description: `Id of the ${what}` });
}

/** An object that permits no other fields. @param name of the schema in the OpenAPI document */
export function closed<P extends Record<string, TSchema>>(properties: P, name?: string) {
  return Type.Object(properties, { additionalProperties: false, ...(name !== undefined && { $id: name }) });
}

/** What a requirement demands; a list of ids for one that names workers or tasks. */
export const Wanted = Type.Unsafe<string | number | boolean | string[]>({
  type: ['string', 'number', 'boolean', 'array'],
  items: { type: 'string' },
});

export const Problem = Type.Object(
  {
    type: Type.String({
      format: 'uri-reference',
      description: 'Where the code is explained, relative to the server: `/docs/errors#…`',
    }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: word(Object.keys(PROBLEMS) as ProblemCode[], {
      description: 'Stable; `type` and `title` follow from it',
    }),
    request_id: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ description: 'JSON Pointer (RFC 6901) of the field' }),
          message: Type.String(),
          parameter: Type.Optional(Type.String({ description: 'The query parameter, for `invalid_query`' })),
        }),
        { description: 'All faults of the body or query, up to 50' },
      ),
    ),
    quota: Type.Optional(Type.String({ description: 'With `quota_exceeded`: the limit that is reached' })),
    reasons: Type.Optional(
      Type.Array(
        Type.Object({
          reason: Type.String(),
          wanted: Type.Optional(Wanted),
          has: Type.Optional(Type.Number()),
        }),
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
  cursor: Type.Optional(
    Type.String({
      maxLength: 1000,
      description: '`next_cursor` of the previous page, with the same filters; default: the first page',
    }),
  ),
  order: order('desc'),
};
/** Those of a list that starts with the oldest by default. */
export const OldestFirst = { ...PageQuery, order: order('asc') };

/** A query parameter that may be repeated or, unless it is free text, be a comma-separated list. */
export function listOf<T extends TSchema>(schema: T, description: string) {
  return Type.Optional(Type.Array(schema, { minItems: 1, maxItems: 50, description }));
}

/** A page of a list, as `listAnswer` returns it. */
export function pageOf(item: TSchema & { $id?: string }) {
  return Type.Object(
    {
      data: Type.Array(item),
      has_more: Type.Boolean({ description: 'Whether there are more items' }),
      next_cursor: nullable(Type.String({ description: '`cursor` of the next page; null on the last' })),
    },
    item.$id === undefined ? {} : { $id: `${item.$id}Page` },
  );
}

/** Pools that a credential is confined to; `*` for all. */
const PoolName = Type.String(
  matching(
    '^(\\*|[A-Za-z0-9_-]{1,64})$',
    'must be the id of a pool (1 to 64 letters, digits, hyphens and underscores), or * for all pools',
  ),
);
export const PoolList = Type.Array(PoolName, {
  minItems: 1,
  maxItems: 100,
  uniqueItems: true,
});
