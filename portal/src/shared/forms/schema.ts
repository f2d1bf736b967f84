// Schemas of outputs, as the pages read them: the shorthand becomes JSON Schema, references are followed, and two schemas are merged
// into one. Pure. Schemas are untrusted, so nothing here throws, and every walk has a bound.

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
export function mergedPair(one: JsonSchema, other: JsonSchema): JsonSchema {
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
