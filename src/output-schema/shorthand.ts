/*
 * The card's shorthand for an output: field name → one of six words, `?` behind the word for optional.
 * It is the common case and needs no compiler: a plain loop on the main thread, one pass over the fields.
 * Names are only ever read as own properties, so `__proto__` and `constructor` are names like any other.
 */
import { childPointer, findTooDeep, isJsonObject, type Problem, report } from './problem.ts';

/** Deepest nesting of arrays and objects in an output, shorthand or JSON Schema, in levels. */
export const MAX_OUTPUT_LEVELS = 128;

type Word = { optional: boolean; must: string; accepts: (value: unknown) => boolean };

const TYPES: Record<string, { must: string; accepts: (value: unknown) => boolean }> = {
  boolean: { must: 'must be a boolean', accepts: (value) => typeof value === 'boolean' },
  string: { must: 'must be a string', accepts: (value) => typeof value === 'string' },
  number: { must: 'must be a number', accepts: (value) => Number.isFinite(value) },
  integer: { must: 'must be an integer', accepts: (value) => Number.isInteger(value) },
  array: { must: 'must be an array', accepts: (value) => Array.isArray(value) },
  object: { must: 'must be an object', accepts: isJsonObject },
};

const WORDS = new Map<unknown, Word>(
  Object.entries(TYPES).flatMap(([name, type]): [string, Word][] => [
    [name, { ...type, optional: false }],
    [`${name}?`, { ...type, optional: true }],
  ]),
);

const NOT_A_WORD = `is not one of ${Object.keys(TYPES).join(', ')} (with ? behind it where the field is optional)`;
/** Taken as it stands, such a field would be required under its odd name, and no output would ever be valid. */
const MISPLACED = 'has a ? behind the name: it belongs behind the type, as in "notes": "string?"';
const NOT_A_SCHEMA =
  '; a JSON Schema is recognised by "$schema", or by "type": "object" with an object under "properties"';

/**
 * What is wrong with `schema` as shorthand; [] if nothing. `{}` is accepted and asks for an empty object.
 * Pointers are into the schema.
 */
export function checkShorthand(schema: Record<string, unknown>): Problem[] {
  const problems: Problem[] = [];
  for (const name of Object.keys(schema)) {
    const word = schema[name];
    if (!WORDS.has(word)) {
      const message = typeof word === 'string' ? NOT_A_WORD : NOT_A_WORD + NOT_A_SCHEMA;
      problems.push({ pointer: childPointer('', name), message });
    } else if (name.endsWith('?')) {
      problems.push({ pointer: childPointer('', name), message: MISPLACED });
    }
  }
  return problems.length === 0 ? problems : report(problems);
}

/**
 * What is wrong with `output` under the shorthand `schema`; [] if nothing. Pointers are into the output.
 * A schema that `checkShorthand` would refuse accepts no output: the answer says so at the root.
 */
export function validateShorthand(schema: Record<string, unknown>, output: unknown): Problem[] {
  if (!isJsonObject(output)) return [{ pointer: '', message: 'must be an object' }];
  const problems: Problem[] = [];
  for (const name of Object.keys(schema)) {
    const word = WORDS.get(schema[name]);
    if (word === undefined) return [unusable(childPointer('', name), NOT_A_WORD)];
    if (!Object.hasOwn(output, name)) {
      if (!word.optional) problems.push({ pointer: childPointer('', name), message: 'is required' });
      continue;
    }
    const value = output[name];
    if (!word.accepts(value)) problems.push({ pointer: childPointer('', name), message: word.must });
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

/** The problem of an output nested beyond `MAX_OUTPUT_LEVELS`, at the first value that is. */
export function tooDeepOutput(pointer: string): Problem {
  return { pointer, message: `is nested more than ${MAX_OUTPUT_LEVELS} levels deep` };
}

/** The problem of an output that cannot be checked, because its schema would itself be refused. */
export function unusable(pointer: string, message: string): Problem {
  const where = pointer === '' ? '' : ` at ${JSON.stringify(pointer)}`;
  return { pointer: '', message: `cannot be checked, its schema is not acceptable${where}: ${message}` };
}
