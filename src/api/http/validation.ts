// Checks requests against their schemas, all faults at once up to a bound, and says each at the JSON Pointer of
// the field it is about: a missing field at its own place, an unknown one too.

import { Ajv2020, type ErrorObject, type Options } from 'ajv/dist/2020.js';
import type { TSchema } from 'typebox';
import { collectingAjv, collector, type Engine } from '../../output-schema/collect.ts';
import { addFormats } from '../../output-schema/formats.ts';
import { childPointer, MAX_PROBLEMS } from '../../output-schema/problem.ts';
import { parseTime, TIME_FAULT } from '../../state/text/time.ts';
import type { FieldError } from './problem.ts';

/** Errors after which no more are looked for: several may be about one field. */
const MOST_ERRORS = 4 * MAX_PROBLEMS;

const engine: Engine = (options) => {
  const ajv = new Ajv2020(options);
  addFormats(ajv);
  // Narrower than in output schemas: a time that can be stored and shown again.
  ajv.addFormat('date-time', { type: 'string', validate: (text: string) => parseTime(text) !== null });
  return ajv;
};
const checkOf = (options: Options) => {
  const deciding = engine(options);
  const collecting = collectingAjv(engine, options, MOST_ERRORS);
  return (schema: TSchema): Check =>
    check(collector(deciding.compile(schema), () => collecting.compile(schema)));
};

/** What is wrong with a value, at most `MAX_PROBLEMS`; [] if nothing. */
export type Check = (value: unknown) => FieldError[];

/** A check of JSON bodies. */
export const bodyCheck = checkOf({ discriminator: true, strict: true, allowUnionTypes: true });

/** A check of query parameters, which come as text and are turned into what the schema says. */
export const queryCheck = checkOf({ coerceTypes: true, allowUnionTypes: true });

function check(collect: ReturnType<typeof collector>): Check {
  return (value) => {
    const errors = new Map<string, FieldError>();
    for (const error of collect(value)) {
      const found = fieldError(error);
      // The first fault of a field tells most: a wrong type makes all its other rules fail too.
      if (!errors.has(found.pointer)) errors.set(found.pointer, found);
      if (errors.size === MAX_PROBLEMS) break;
    }
    return [...errors.values()];
  };
}

function fieldError(error: ErrorObject): FieldError {
  const at = (name: unknown) => childPointer(error.instancePath, String(name));
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

/** Rules that no schema can say, asked of a body of any form. */
export type Rules = (body: unknown) => Promise<FieldError[]>;

/**
 * All that is wrong with a body of which `check` found `broken`: that, and what the rules find wrong with the parts
 * that it took. A body with more faults than are told of has no part that is known to be right.
 * The body is not for use any more: the parts that were refused are taken out of it.
 */
export async function allFaults(body: unknown, broken: FieldError[], rules: Rules): Promise<FieldError[]> {
  if (broken.length >= MAX_PROBLEMS) return broken;
  if (broken.length === 0) return rules(body);
  const isToldOf = (pointer: string) =>
    broken.some((one) => pointer === one.pointer || pointer.startsWith(`${one.pointer}/`));
  const found = await rules(withoutRefused(body, broken));
  return [...broken, ...found.filter((one) => !isToldOf(one.pointer))];
}

/** The body without the parts that the faults are about; undefined where that is all of it. */
function withoutRefused(body: unknown, faults: readonly FieldError[]): unknown {
  for (const { pointer } of faults) {
    const names = pointer.split('/').slice(1).map(unescaped);
    const last = names.pop();
    if (last === undefined) return undefined;
    const holder = names.reduce(memberOf, body);
    // The items behind one that is refused stay where they are.
    if (Array.isArray(holder)) holder[Number(last)] = undefined;
    else if (typeof holder === 'object' && holder !== null) Reflect.deleteProperty(holder, last);
  }
  return body;
}

function unescaped(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** An own member of a value; undefined where there is none. */
export function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

/** The value at a path of the body; undefined where there is none. */
export function at(body: unknown, ...path: string[]): unknown {
  return path.reduce(memberOf, body);
}
