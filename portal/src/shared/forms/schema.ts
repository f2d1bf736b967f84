// Schemas of outputs, as the form reads them: the shorthand becomes JSON Schema, references are followed, and what applies to a
// value (allOf, if/then/else, dependentSchemas) is merged into one schema. Pure. Schemas are untrusted, so nothing here
// throws, and every walk has a bound.

import { Validator } from '@cfworker/json-schema';

/** A JSON Schema (2020-12) that is an object. */
export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** A schema as it stands in another one: `true` allows everything, `false` nothing. */
export type AnySchema = JsonSchema | boolean;

export const ANYTHING: JsonSchema = Object.freeze({});

const SHORTHAND = /^(boolean|string|number|integer|array|object)\??$/;
/** References that lead to references; more of them do not end. */
const MAX_REFERENCES = 32;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isSchema(value: unknown): value is AnySchema {
  return typeof value === 'boolean' || isObject(value);
}

/** The members of an object that are schemas; {} for anything else. */
export function schemasIn(value: unknown): Record<string, AnySchema> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, AnySchema] => isSchema(entry[1])),
  );
}

export function stringsIn(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

/** The output's schema as JSON Schema: a shorthand (`{"name": "string?"}`) is written out. */
export function asJsonSchema(schema: Record<string, unknown>): JsonSchema {
  const isJsonSchema = '$schema' in schema || (schema.type === 'object' && isObject(schema.properties));
  const entries = Object.entries(schema);
  if (isJsonSchema || !entries.every(([, type]) => typeof type === 'string' && SHORTHAND.test(type)))
    return schema;
  return {
    type: 'object',
    properties: Object.fromEntries(
      entries.map(([name, type]) => [name, { type: String(type).replace('?', '') }]),
    ),
    required: entries.filter(([, type]) => !String(type).endsWith('?')).map(([name]) => name),
    additionalProperties: false,
  };
}

/** The schema that a local reference such as `#/$defs/address` names; null when there is none. */
function referenced(root: JsonSchema, ref: unknown): AnySchema | null {
  if (typeof ref !== 'string' || !ref.startsWith('#')) return null;
  const path = decode(ref.slice(1));
  if (path !== '' && !path.startsWith('/')) return anchored(root, path);
  let at: unknown = root;
  for (const step of path.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (Array.isArray(at)) at = at[Number(name)];
    else if (isObject(at) && Object.hasOwn(at, name)) at = at[name];
    else return null;
  }
  return isSchema(at) ? at : null;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** A definition by its `$anchor`. */
function anchored(root: JsonSchema, name: string): AnySchema | null {
  const found = Object.values(schemasIn(root.$defs)).find((one) => isObject(one) && one.$anchor === name);
  return found ?? null;
}

/** The schema without references; what stands beside a reference is merged with it. */
export function resolved(schema: AnySchema, root: JsonSchema): JsonSchema {
  let now: AnySchema = schema;
  for (let hops = 0; hops < MAX_REFERENCES; hops += 1) {
    if (now === true) return ANYTHING;
    if (now === false) return { not: ANYTHING };
    if (now.$ref === undefined) return now;
    const { $ref, ...beside }: JsonSchema = now;
    const target = referenced(root, $ref);
    if (target === null) return beside;
    now = Object.keys(beside).length === 0 ? target : mergedPair(resolvedOnce(target), beside);
  }
  return ANYTHING;
}

function resolvedOnce(schema: AnySchema): JsonSchema {
  if (schema === true) return ANYTHING;
  return schema === false ? { not: ANYTHING } : schema;
}

/** Limits of which the stricter one holds. */
const LOWER_LIMITS = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties', 'minContains'];
const UPPER_LIMITS = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties', 'maxContains'];

/** A schema for what satisfies both, as far as a form can show it. */
function mergedPair(one: JsonSchema, other: JsonSchema): JsonSchema {
  const merged: Record<string, unknown> = { ...one };
  for (const [keyword, value] of Object.entries(other))
    merged[keyword] = mergedKeyword(keyword, one[keyword], value);
  return merged;
}

function mergedKeyword(keyword: string, one: unknown, other: unknown): unknown {
  if (one === undefined) return other;
  if (LOWER_LIMITS.includes(keyword)) return Math.max(Number(one), Number(other));
  if (UPPER_LIMITS.includes(keyword)) return Math.min(Number(one), Number(other));
  switch (keyword) {
    case 'required':
      return [...new Set([...stringsIn(one), ...stringsIn(other)])];
    case 'properties':
    case 'patternProperties':
    case '$defs':
    case 'dependentRequired':
    case 'dependentSchemas':
      return mergedMembers(one, other);
    case 'enum':
      return Array.isArray(one) && Array.isArray(other)
        ? one.filter((value) => other.some((allowed) => isSame(allowed, value)))
        : other;
    case 'type':
      return commonTypes(one, other);
    case 'allOf':
      return [...(Array.isArray(one) ? one : []), ...(Array.isArray(other) ? other : [])];
    case 'items':
    case 'additionalProperties':
      return one === false || other === false ? false : both(one, other);
    default:
      return other;
  }
}

function mergedMembers(one: unknown, other: unknown): unknown {
  if (!isObject(one) || !isObject(other)) return other;
  const merged: Record<string, unknown> = { ...one };
  for (const [name, value] of Object.entries(other))
    merged[name] = Object.hasOwn(one, name) ? both(one[name], value) : value;
  return merged;
}

function both(one: unknown, other: unknown): unknown {
  if (Array.isArray(one) && Array.isArray(other)) return [...new Set([...one, ...other])];
  if (one === true || !isSchema(one)) return other;
  if (other === true || !isSchema(other)) return one;
  return isObject(one) && isObject(other) && one.$ref === undefined && other.$ref === undefined
    ? mergedPair(one, other)
    : { allOf: [one, other] };
}

function commonTypes(one: unknown, other: unknown): unknown {
  const [left, right] = [[one].flat(), [other].flat()];
  const common = left.filter(
    (type) => right.includes(type) || (type === 'integer' && right.includes('number')),
  );
  if (common.length === 0 && left.includes('number') && right.includes('integer')) return 'integer';
  return common.length === 1 ? common[0] : common;
}

/** Whether two JSON values are the same. */
export function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, index) => isSame(item, other[index]));
  if (!isObject(one) || !isObject(other)) return false;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isSame(one[name], other[name]))
  );
}

/** Merged schemas by schema and by which of its branches apply, so that the same schema is the same object each time. */
const merges = new WeakMap<JsonSchema, Map<string, JsonSchema>>();
/** Branches that lead to branches; deeper ones are left to the validation. */
const MAX_LEVELS = 8;

/**
 * The one schema that applies to a value: without references, allOf and conditions. The result is the same object for the same
 * branches.
 */
export function applicable(schema: AnySchema, root: JsonSchema, value: unknown): JsonSchema {
  const whole = resolvedCached(schema, root);
  if (!hasBranches(whole)) return whole;
  const parts: JsonSchema[] = [];
  const key = collect(whole, root, value, parts, 0);
  const known = merges.get(whole) ?? new Map<string, JsonSchema>();
  merges.set(whole, known);
  const cached = known.get(key);
  if (cached !== undefined) return cached;
  const merged = parts.reduce(mergedPair);
  known.set(key, merged);
  return merged;
}

const resolutions = new WeakMap<JsonSchema, JsonSchema>();

function resolvedCached(schema: AnySchema, root: JsonSchema): JsonSchema {
  if (typeof schema === 'boolean') return resolved(schema, root);
  const known = resolutions.get(schema) ?? resolved(schema, root);
  resolutions.set(schema, known);
  return known;
}

function hasBranches({ allOf, if: condition, dependentSchemas }: JsonSchema): boolean {
  return Array.isArray(allOf) || condition !== undefined || isObject(dependentSchemas);
}

/** Adds the schemas that apply to `parts`. @returns which branches were taken, as text */
function collect(
  schema: JsonSchema,
  root: JsonSchema,
  value: unknown,
  parts: JsonSchema[],
  level: number,
): string {
  const { allOf, if: condition, then: yes, else: no, dependentSchemas, ...own } = schema;
  parts.push(own);
  if (level > MAX_LEVELS) return '';
  const taken: string[] = [];
  const add = (branch: unknown, name: string) => {
    if (!isSchema(branch) || branch === true) return;
    taken.push(name, collect(resolvedCached(branch, root), root, value, parts, level + 1));
  };
  if (Array.isArray(allOf)) for (const [index, branch] of allOf.entries()) add(branch, `${index}`);
  if (isSchema(condition)) {
    const holds = isValid(condition, root, value ?? {});
    add(holds ? yes : no, holds ? 'then' : 'else');
  }
  for (const [name, branch] of Object.entries(schemasIn(dependentSchemas)))
    if (isObject(value) && Object.hasOwn(value, name)) add(branch, name);
  return `(${taken.join(' ')})`;
}

const validators = new WeakMap<JsonSchema, Validator | null>();

/** Whether a value satisfies a part of the root schema; false when the part cannot be used. */
export function isValid(schema: AnySchema, root: JsonSchema, value: unknown): boolean {
  if (typeof schema === 'boolean') return schema;
  let validator = validators.get(schema);
  if (validator === undefined) {
    validator = validatorOf(schema, root);
    validators.set(schema, validator);
  }
  try {
    return validator?.validate(value).valid ?? false;
  } catch {
    return false;
  }
}

/** A validator of a part of the root schema, with its definitions; null when the schema cannot be used. */
export function validatorOf(schema: JsonSchema, root: JsonSchema, stopAtFirst = true): Validator | null {
  try {
    const { $id: _id, ...anonymous } = schema;
    const whole = schema === root ? anonymous : { ...anonymous, $defs: root.$defs ?? {} };
    return new Validator(whole as ConstructorParameters<typeof Validator>[0], '2020-12', stopAtFirst);
  } catch {
    return null;
  }
}
