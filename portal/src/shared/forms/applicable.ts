// Which parts of a schema apply to a value: allOf, if/then/else and dependentSchemas are merged into one schema. Pure, without
// errors, and bounded, as in schema.ts; apart from it because the validator is large and only the form needs it.

import { Validator } from '@cfworker/json-schema';
import {
  type AnySchema,
  isObject,
  isSchema,
  type JsonSchema,
  mergedPair,
  resolved,
  schemasIn,
} from './schema.ts';

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
