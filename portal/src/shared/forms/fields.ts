// Schema → field: which control a form shows for a part of the output. Pure; the controls are in controls/.

import { applicable } from './applicable.ts';
import {
  ANYTHING,
  type AnySchema,
  isObject,
  isSame,
  isSchema,
  type JsonSchema,
  schemasIn,
  stringsIn,
} from './schema.ts';

/** What a person fills in for one value. */
export type Field =
  | { kind: 'object'; properties: Property[]; entries: EntrySchemas | null }
  | { kind: 'array'; prefix: AnySchema[]; items: AnySchema | null; min: number; max: number }
  /** Some of a few values, as checkboxes. */
  | { kind: 'set'; options: Option[] }
  | { kind: 'options'; options: Option[] }
  | { kind: 'boolean' }
  | { kind: 'text'; format: TextFormat; isLong: boolean; maxLength: number | null }
  | { kind: 'number'; isInteger: boolean; min: number | null; max: number | null; step: number | null }
  /** A value that is given: nothing to fill in. */
  | { kind: 'constant'; value: unknown }
  /** One of several schemas, of which the person chooses one. */
  | { kind: 'choice'; options: ChoiceOption[] }
  /** Any JSON, for what no control can show. */
  | { kind: 'json' };

export type TextFormat = 'plain' | 'date' | 'time' | 'date-time' | 'email' | 'uri';

export interface Property {
  name: string;
  schema: AnySchema;
  isRequired: boolean;
}

/** What may be under names that a person chooses. */
export interface EntrySchemas {
  patterns: [pattern: string, schema: AnySchema][];
  /** For names that match no pattern; null when there may be none. */
  others: AnySchema | null;
}

export interface Option {
  value: unknown;
  label: string;
}

export interface ChoiceOption {
  schema: JsonSchema;
  /** Of the schema; null when it has none. */
  title: string | null;
  kind: ValueKind;
}

export type ValueKind = 'text' | 'number' | 'boolean' | 'list' | 'object' | 'nothing' | 'any';

/** Values nested deeper than this are shown as JSON. */
const MAX_DEPTH = 12;
/** More options than this are shown as a list to choose from, not as radio buttons; see controls. */
const TEXT_FORMATS: ReadonlySet<string> = new Set(['date', 'time', 'date-time', 'email', 'uri']);
/** Texts that may be longer than this get a control of several lines. */
const LONG_TEXT = 120;

/** The types of values, as schemas, for a part that allows anything. */
const ANY_VALUE: readonly JsonSchema[] = [
  { type: 'string' },
  { type: 'number' },
  { type: 'boolean' },
  { 'x-json': true },
];

/**
 * The field of a part of the output.
 * @param value what it has now: which schemas apply may depend on it.
 * @param depth how deep it is nested.
 */
export function fieldOf(schema: AnySchema, root: JsonSchema, value: unknown, depth = 0): Field {
  const whole = applicable(schema, root, value);
  if (depth > MAX_DEPTH) return { kind: 'json' };
  const field = fields.get(whole) ?? fieldOfWhole(whole, root);
  fields.set(whole, field);
  return field;
}

/** Fields by their schema, which is the same object each time. */
const fields = new WeakMap<JsonSchema, Field>();

function fieldOfWhole(whole: JsonSchema, root: JsonSchema): Field {
  if (whole['x-json'] === true) return { kind: 'json' };
  if ('const' in whole) return { kind: 'constant', value: whole.const };
  if (Array.isArray(whole.enum))
    return optionsOf(whole.enum.map((one) => ({ value: one, label: textOf(one) })));
  const given = alternativesOf(whole);
  if (given !== null) {
    const named = namedConstants(given, root);
    if (named !== null) return optionsOf(named);
    return choiceOf(given, root);
  }
  const types = typesOf(whole);
  if (types.length > 1) {
    const made = alternatives.get(whole) ?? types.map((type) => ({ ...whole, type }));
    alternatives.set(whole, made);
    return choiceOf(made, root);
  }
  return ofType(types[0], whole, root);
}

function ofType(type: string | undefined, whole: JsonSchema, root: JsonSchema): Field {
  switch (type) {
    case 'object':
      return objectField(whole);
    case 'array':
      return arrayField(whole, root);
    case 'string':
      return textField(whole);
    case 'number':
    case 'integer':
      return {
        kind: 'number',
        isInteger: type === 'integer',
        min: numberIn(whole.minimum) ?? numberIn(whole.exclusiveMinimum),
        max: numberIn(whole.maximum) ?? numberIn(whole.exclusiveMaximum),
        step: numberIn(whole.multipleOf) ?? (type === 'integer' ? 1 : null),
      };
    case 'boolean':
      return { kind: 'boolean' };
    case 'null':
      return { kind: 'constant', value: null };
    case undefined:
      return choiceOf(ANY_VALUE, root);
    default:
      return { kind: 'json' };
  }
}

function objectField(whole: JsonSchema): Field {
  const properties = schemasIn(whole.properties);
  const required = stringsIn(whole.required);
  const names = [...new Set([...Object.keys(properties), ...required])];
  const patterns = Object.entries(schemasIn(whole.patternProperties));
  const additional = isSchema(whole.additionalProperties) ? whole.additionalProperties : undefined;
  // Where nothing is said of additional members, they are offered only when there is nothing else to fill in.
  const others = additional === false ? null : (additional ?? (names.length === 0 ? ANYTHING : null));
  return {
    kind: 'object',
    properties: names.map((name) => ({
      name,
      schema: properties[name] ?? others ?? ANYTHING,
      isRequired: required.includes(name),
    })),
    entries: patterns.length === 0 && others === null ? null : { patterns, others },
  };
}

function arrayField(whole: JsonSchema, root: JsonSchema): Field {
  const prefix = Array.isArray(whole.prefixItems) ? whole.prefixItems.filter(isSchema) : [];
  const items = isSchema(whole.items) ? whole.items : ANYTHING;
  const min = numberIn(whole.minItems) ?? 0;
  const max = numberIn(whole.maxItems) ?? Number.POSITIVE_INFINITY;
  if (prefix.length === 0 && items !== false && whole.uniqueItems === true) {
    const item = fieldOf(items, root, undefined, 1);
    if (item.kind === 'options' && item.options.length <= 30) return { kind: 'set', options: item.options };
  }
  return { kind: 'array', prefix, items: items === false ? null : items, min, max };
}

function textField(whole: JsonSchema): Field {
  const format = typeof whole.format === 'string' && TEXT_FORMATS.has(whole.format) ? whole.format : 'plain';
  const maxLength = numberIn(whole.maxLength);
  const isLong =
    format === 'plain' &&
    whole.format === undefined &&
    whole.pattern === undefined &&
    (maxLength ?? LONG_TEXT) >= LONG_TEXT;
  return { kind: 'text', format: format as TextFormat, isLong, maxLength };
}

function numberIn(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** The types that a schema allows; those of its keywords when it names none. */
function typesOf(whole: JsonSchema): string[] {
  if (whole.type !== undefined) return stringsIn([whole.type].flat());
  if ('properties' in whole || 'required' in whole || 'patternProperties' in whole) return ['object'];
  if ('items' in whole || 'prefixItems' in whole) return ['array'];
  if ('pattern' in whole || 'minLength' in whole || 'maxLength' in whole || 'format' in whole)
    return ['string'];
  return 'minimum' in whole || 'maximum' in whole || 'multipleOf' in whole ? ['number'] : [];
}

/** The alternatives of a schema, each merged with what stands beside them; null without any. */
function alternativesOf(whole: JsonSchema): JsonSchema[] | null {
  const { oneOf, anyOf, ...beside } = whole;
  const given = Array.isArray(oneOf) ? oneOf : anyOf;
  if (!Array.isArray(given) || given.length === 0) return null;
  const besides = narrowing(beside);
  const known = alternatives.get(whole);
  if (known !== undefined) return known;
  const made = given
    .filter(isSchema)
    .map((one) =>
      besides === null && isObject(one) ? one : { allOf: [besides ?? ANYTHING, one], ...labelOf(one) },
    );
  alternatives.set(whole, made);
  return made;
}

/** So that an alternative is the same object each time. */
const alternatives = new WeakMap<JsonSchema, JsonSchema[]>();

/** What narrows the alternatives: the schema beside them without its labels; null when nothing does. */
function narrowing(beside: JsonSchema): JsonSchema | null {
  const {
    title: _title,
    description: _description,
    $defs: _defs,
    $schema: _schema,
    $id: _id,
    ...rest
  } = beside;
  return Object.keys(rest).length === 0 ? null : rest;
}

function labelOf(schema: AnySchema): JsonSchema {
  if (!isObject(schema)) return {};
  const { title, description } = schema;
  return { ...(title !== undefined && { title }), ...(description !== undefined && { description }) };
}

/** Alternatives that are constants with titles: an enumeration with labels. */
function namedConstants(given: readonly JsonSchema[], root: JsonSchema): Option[] | null {
  const options = given.map((one) => {
    const whole = applicable(one, root, undefined);
    if (!('const' in whole)) return null;
    return { value: whole.const, label: typeof whole.title === 'string' ? whole.title : textOf(whole.const) };
  });
  return options.every((one) => one !== null) ? options : null;
}

function choiceOf(schemas: readonly JsonSchema[], root: JsonSchema): Field {
  const [first, ...others] = schemas;
  if (first !== undefined && others.length === 0) return fieldOf(first, root, undefined);
  return {
    kind: 'choice',
    options: schemas.map((schema) => {
      const whole = applicable(schema, root, undefined);
      return {
        schema,
        title: typeof whole.title === 'string' && whole.title !== '' ? whole.title : null,
        kind: kindOf(fieldOf(schema, root, undefined, MAX_DEPTH)),
      };
    }),
  };
}

function kindOf(field: Field): ValueKind {
  switch (field.kind) {
    case 'constant':
      return field.value === null ? 'nothing' : 'any';
    case 'object':
    case 'number':
    case 'boolean':
    case 'text':
      return field.kind;
    case 'array':
    case 'set':
      return 'list';
    case 'options':
      return 'text';
    default:
      return 'any';
  }
}

function optionsOf(options: Option[]): Field {
  const unique = options.filter(
    (one, index) => options.findIndex((other) => isSame(other.value, one.value)) === index,
  );
  const [only] = unique;
  if (only !== undefined && unique.length === 1) return { kind: 'constant', value: only.value };
  return { kind: 'options', options: unique };
}

/** A value as a person reads it. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** The schema of an entry that a person has named; null when there may be none of this name. */
export function entrySchema({ patterns, others }: EntrySchemas, name: string): AnySchema | null {
  for (const [pattern, schema] of patterns) if (matches(pattern, name)) return schema;
  return others;
}

function matches(pattern: string, name: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(name);
  } catch {
    return false;
  }
}

/** The name of a member as a label: `defect_count` → "Defect count". */
export function labelFromName(name: string): string {
  const words = name
    .replaceAll(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2')
    .replaceAll(/[_\-.]+/g, ' ')
    .trim();
  return words === '' ? name : words[0]?.toUpperCase() + words.slice(1);
}
