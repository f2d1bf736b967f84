// Schemas of the OpenAPI document: TypeBox schemas as plain JSON Schema, in the forms that tools read best, with the named
// ones collected as components.

import { isDeepStrictEqual } from 'node:util';
import type { TSchema } from 'typebox';

export type Json = Record<string, unknown>;

/** Members of a schema that say nothing of which values are valid. They may differ from one reference to the next. */
const ANNOTATIONS = ['description', 'default', 'examples', 'deprecated'];

/** The named schemas of a document. */
export class Components {
  readonly schemas: Record<string, Json> = {};

  /**
   * The schema as JSON. One with an `$id` becomes a component, and a reference takes its place.
   * @param name of a schema without an `$id`, to make it a component too.
   * @throws Error when two different schemas have one name, or a choice by discriminator has none
   */
  schema(schema: TSchema, name?: string): Json {
    const plain = JSON.parse(JSON.stringify(schema)) as Json;
    return this.#lifted({ ...(name !== undefined && { $id: name }), ...plain }) as Json;
  }

  #lifted(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((one) => this.#lifted(one));
    if (!isObject(value)) return value;
    const { $id, ...rest } = value;
    const members = Object.entries(rest).map(([key, inner]) => [
      key,
      key === 'examples' || key === 'default' || key === 'const' ? inner : this.#lifted(inner),
    ]);
    const schema = this.#withMapping(withUsualForm(Object.fromEntries(members) as Json));
    return typeof $id === 'string' ? this.#reference($id, schema) : schema;
  }

  /** Says which of the named schemas each value of a discriminator means. */
  #withMapping(schema: Json): Json {
    const { discriminator, oneOf } = schema;
    if (!isObject(discriminator) || !Array.isArray(oneOf)) return schema;
    const entries = (oneOf as { $ref?: string }[]).map(({ $ref }) => {
      if ($ref === undefined) throw new Error('the choices of a discriminator must have names ($id)');
      const properties = this.schemas[$ref.split('/').at(-1) ?? '']?.properties as Record<string, Json>;
      return [properties[String(discriminator.propertyName)]?.const, $ref];
    });
    return { ...schema, discriminator: { ...discriminator, mapping: Object.fromEntries(entries) } };
  }

  #reference(name: string, schema: Json): Json {
    const known = this.schemas[name];
    this.schemas[name] ??= schema;
    const $ref = `#/components/schemas/${name}`;
    if (known === undefined) return { $ref };
    if (!isDeepStrictEqual(withoutAnnotations(known), withoutAnnotations(schema)))
      throw new Error(`two schemas have the name ${name}`);
    const own = ANNOTATIONS.filter((key) => key in schema && !isDeepStrictEqual(schema[key], known[key]));
    return { $ref, ...Object.fromEntries(own.map((key) => [key, schema[key]])) };
  }
}

function withoutAnnotations(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => !ANNOTATIONS.includes(key)));
}

/** The same schema in the form that generators of clients and forms understand. */
function withUsualForm(schema: Json): Json {
  return discriminated(exclusive(openObject(map(nullableType(schema)))));
}

/** `anyOf` of one type and null → a list of two types. */
function nullableType(schema: Json): Json {
  const { anyOf, ...rest } = schema;
  if (!Array.isArray(anyOf) || anyOf.length !== 2) return schema;
  const [one, other] = anyOf as [Json, Json];
  if (other.type !== 'null' || typeof one.type !== 'string') return schema;
  return {
    ...one,
    ...rest,
    type: [one.type, 'null'],
    ...(Array.isArray(one.enum) && { enum: [...one.enum, null] }),
  };
}

/** `anyOf` → `oneOf`, which says more: the choices of a schema exclude each other. */
function exclusive({ anyOf, ...rest }: Json): Json {
  return anyOf === undefined ? rest : { ...rest, oneOf: anyOf };
}

/** A pattern that every name matches → `additionalProperties`. */
function map(schema: Json): Json {
  const { patternProperties, ...rest } = schema;
  const all = isObject(patternProperties) ? patternProperties['^.*$'] : undefined;
  return all === undefined ? schema : { ...rest, additionalProperties: all };
}

/** An object of which nothing is said allows all members. */
function openObject(schema: Json): Json {
  const isBare = schema.type === 'object' && !('properties' in schema) && !('oneOf' in schema);
  return isBare && !('additionalProperties' in schema) ? { ...schema, additionalProperties: true } : schema;
}

/** A choice by discriminator refers to named schemas alone. Its own members are for the validator of requests. */
function discriminated(schema: Json): Json {
  const { discriminator, oneOf, type: _type, required: _required, properties: _properties, ...rest } = schema;
  return isObject(discriminator) ? { ...rest, oneOf, discriminator } : schema;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
