/*
 * The shorthand for output schemas: field name → one of six types, with `?` after the type of an optional field. It is the
 * common case and is checked in the main thread, in one pass over the fields. Only own properties are read, so
 * `__proto__` and `constructor` are ordinary names.
 */
import { childPointer, findTooDeep, isJsonObject, type Problem, report } from './problem.ts';

/** Deepest nesting of arrays and objects in an output, levels; for shorthand and JSON Schema. */
export const MAX_OUTPUT_LEVELS = 128;

type FieldType = { optional: boolean; message: string; accepts: (value: unknown) => boolean };

const TYPES: Record<string, { message: string; accepts: (value: unknown) => boolean }> = {
  boolean: { message: 'must be a boolean', accepts: (value) => typeof value === 'boolean' },
  string: { message: 'must be a string', accepts: (value) => typeof value === 'string' },
  number: { message: 'must be a number', accepts: (value) => Number.isFinite(value) },
  integer: { message: 'must be an integer', accepts: (value) => Number.isInteger(value) },
  array: { message: 'must be an array', accepts: (value) => Array.isArray(value) },
  object: { message: 'must be an object', accepts: isJsonObject },
};

const FIELD_TYPES = new Map<unknown, FieldType>(
  Object.entries(TYPES).flatMap(([name, type]): [string, FieldType][] => [
    [name, { ...type, optional: false }],
    [`${name}?`, { ...type, optional: true }],
  ]),
);

const NOT_A_FIELD_TYPE = `is not one of ${Object.keys(TYPES).join(', ')} (with ? after it if the field is optional)`;
/** Such a field would be required with `?` in its name, so no output would be valid. */
const MISPLACED = 'has a ? after the name: it belongs after the type, as in "notes": "string?"';
const NOT_A_SCHEMA =
  '; a JSON Schema is recognised by "$schema", or by "type": "object" with an object under "properties"';

/**
 * Checks a shorthand schema. `{}` is accepted and requires an empty object.
 * @returns the problems, with pointers into the schema; [] for none.
 */
export function checkShorthand(schema: Record<string, unknown>): Problem[] {
  const problems: Problem[] = [];
  for (const name of Object.keys(schema)) {
    const word = schema[name];
    if (!FIELD_TYPES.has(word)) {
      const message = typeof word === 'string' ? NOT_A_FIELD_TYPE : NOT_A_FIELD_TYPE + NOT_A_SCHEMA;
      problems.push({ pointer: childPointer('', name), message });
    } else if (name.endsWith('?')) {
      problems.push({ pointer: childPointer('', name), message: MISPLACED });
    }
  }
  return problems.length === 0 ? problems : report(problems);
}

/**
 * Checks an output against a shorthand schema. A schema that `checkShorthand` refuses accepts no output; the problem is
 * then at the root.
 * @returns the problems, with pointers into the output; [] for none.
 */
export function validateShorthand(schema: Record<string, unknown>, output: unknown): Problem[] {
  if (!isJsonObject(output)) return [{ pointer: '', message: 'must be an object' }];
  const problems: Problem[] = [];
  for (const name of Object.keys(schema)) {
    const word = FIELD_TYPES.get(schema[name]);
    if (word === undefined) return [unusable(childPointer('', name), NOT_A_FIELD_TYPE)];
    if (!Object.hasOwn(output, name)) {
      if (!word.optional) problems.push({ pointer: childPointer('', name), message: 'is required' });
      continue;
    }
    const value = output[name];
    if (!word.accepts(value)) problems.push({ pointer: childPointer('', name), message: word.message });
  }
  for (const name of Object.keys(output)) {
    if (!Object.hasOwn(schema, name)) {
      problems.push({
        pointer: childPointer('', name),
        message: 'is not allowed: the schema does not name it',
      });
    } else if (typeof output[name] === 'object') {
      const below = findTooDeep(output[name], MAX_OUTPUT_LEVELS - 1);
      if (below !== null) problems.push(tooDeepOutput(childPointer('', name) + below));
    }
  }
  return problems.length === 0 ? problems : report(problems);
}

/** The problem of a value nested deeper than `MAX_OUTPUT_LEVELS`. */
export function tooDeepOutput(pointer: string): Problem {
  return { pointer, message: `is nested more than ${MAX_OUTPUT_LEVELS} levels deep` };
}

/** The problem of an output whose schema is not acceptable. @param pointer into the schema. */
export function unusable(pointer: string, message: string): Problem {
  const where = pointer === '' ? '' : ` at ${JSON.stringify(pointer)}`;
  return { pointer: '', message: `cannot be checked, its schema is not acceptable${where}: ${message}` };
}
