// Checks requests against their schemas, all faults at once, and says each at the JSON Pointer of the
// field it is about: a missing field at its own place, an unknown one too.

import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import type { TSchema } from 'typebox';
import { parseTime, TIME_FAULT } from '../state/time.ts';
import type { FieldError } from './problem.ts';

const bodies = new Ajv2020({
  allErrors: true,
  discriminator: true,
  strict: true,
  allowUnionTypes: true,
  verbose: true,
});
const queries = new Ajv2020({ allErrors: true, coerceTypes: true, allowUnionTypes: true, verbose: true });
for (const ajv of [bodies, queries]) {
  ajvFormats.default(ajv);
  // What the package takes for a time is more than RFC 3339 allows, and than can be shown again.
  ajv.addFormat('date-time', (text) => parseTime(text) !== null);
}

export type Check = (value: unknown) => FieldError[];

/** A check of JSON bodies. */
export function bodyCheck(schema: TSchema): Check {
  return check(bodies.compile(schema));
}

/** A check of query parameters, which come as text and are turned into what the schema says. */
export function queryCheck(schema: TSchema): Check {
  return check(queries.compile(schema));
}

function check(validate: ValidateFunction): Check {
  return (value) => {
    if (validate(value)) return [];
    const errors = new Map<string, FieldError>();
    for (const error of validate.errors ?? []) {
      const found = fieldError(error);
      // The first fault of a field tells most: a wrong type makes all its other rules fail too.
      if (!errors.has(found.pointer)) errors.set(found.pointer, found);
    }
    return [...errors.values()];
  };
}

function fieldError(error: ErrorObject): FieldError {
  const at = (name: unknown) => `${error.instancePath}/${escapePointer(String(name))}`;
  switch (error.keyword) {
    case 'required':
      return { pointer: at(error.params.missingProperty), message: 'is required' };
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return {
        pointer: at(error.params.additionalProperty ?? error.params.unevaluatedProperty),
        message: 'is not a known field',
      };
    case 'propertyNames':
      return { pointer: at(error.params.propertyName), message: 'is not a permitted name' };
    case 'discriminator':
      return { pointer: at(error.params.tag), message: 'is not one of the permitted values' };
    case 'enum':
      return {
        pointer: error.instancePath,
        message: `must be one of ${(error.params.allowedValues as unknown[]).join(', ')}`,
      };
    case 'format':
      return {
        pointer: error.instancePath,
        message: error.params.format === 'date-time' ? TIME_FAULT : (error.message ?? 'is not valid'),
      };
    case 'const':
      return { pointer: error.instancePath, message: `must be ${String(error.params.allowedValue)}` };
    default:
      return { pointer: error.instancePath, message: error.message ?? 'is not valid' };
  }
}

/** A name as one token of a JSON Pointer (RFC 6901). */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** The faults of the schema and, of those of the rules, the ones about places where it found none. */
export function withoutRepeats(schema: FieldError[], rules: FieldError[]): FieldError[] {
  const isToldOf = (pointer: string) =>
    schema.some((one) => pointer === one.pointer || pointer.startsWith(`${one.pointer}/`));
  return [...schema, ...rules.filter((one) => !isToldOf(one.pointer))];
}
