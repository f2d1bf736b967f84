// Validates requests against their schemas. All errors up to a limit are reported, each with the JSON Pointer of its field,
// also for missing and unknown fields.

import { Ajv2020, type ErrorObject, type Options } from 'ajv/dist/2020.js';
import type { TSchema } from 'typebox';
import { collectingAjv, collector, type Engine } from '../../output-schema/collect.ts';
import { addFormats, formatFault } from '../../output-schema/formats.ts';
import { childPointer, MAX_PROBLEMS } from '../../output-schema/problem.ts';
import { parseTime, TIME_FAULT } from '../../state/text/time.ts';
import { ruleOf } from './pattern-rules.ts';
import type { FieldError } from './problem.ts';

/** Errors after which validation stops; several may concern the same field. */
const MAX_ERRORS = 4 * MAX_PROBLEMS;

const engine: Engine = (options) => {
  const ajv = new Ajv2020(options);
  addFormats(ajv);
  // Narrower than in output schemas: a time that can be stored and shown again.
  ajv.addFormat('date-time', { type: 'string', validate: (text: string) => parseTime(text) !== null });
  return ajv;
};
/**
 * Compiles the checks of schemas, each at its first use and once. A process serves few of the routes, and is ready sooner.
 * Compiling all of them also used up the 1536 hidden classes that V8 keeps for objects that begin empty: from then on it
 * made a new one for each object, such as the headers of each request, and a create took 1.4 times as long.
 */
const checkOf = (options: Options) => {
  const deciding = engine(options);
  // `verbose` adds to each error the schema that it broke.
  const collecting = collectingAjv(engine, { ...options, verbose: true }, MAX_ERRORS);
  const compiled = new WeakMap<TSchema, Check>();
  const compile = (schema: TSchema): Check => {
    const unnamed = withoutNames(schema);
    const made = check(collector(deciding.compile(unnamed), () => collecting.compile(unnamed)));
    compiled.set(schema, made);
    return made;
  };
  return (schema: TSchema): Check => {
    let found: Check | undefined;
    return (value) => {
      found ??= compiled.get(schema) ?? compile(schema);
      return found(value);
    };
  };
};

/** The schema without `$id`s: the names of the OpenAPI document would have to be unique among all that are compiled. */
export function withoutNames(schema: TSchema): TSchema {
  const isName = (key: string, value: unknown) => key === '$id' && typeof value === 'string';
  return JSON.parse(
    JSON.stringify(schema, (key, value) => (isName(key, value) ? undefined : value)),
  ) as TSchema;
}

/** Returns the errors of a value, at most `MAX_PROBLEMS`. */
export type Check = (value: unknown) => FieldError[];

/** The check of a JSON body. */
export const bodyCheck = checkOf({ discriminator: true, strict: true, allowUnionTypes: true });

/** The check of query parameters, which are text and are converted to the types of the schema. */
export const queryCheck = checkOf({ coerceTypes: true, allowUnionTypes: true });

function check(collect: ReturnType<typeof collector>): Check {
  return (value) => {
    const broken = collect(value);
    if (broken.length === 0) return [];
    const errors = new Map<string, FieldError>();
    for (const error of withoutUnions(broken)) {
      const found = fieldError(error);
      // Only the first error of a field is useful: a wrong type makes all other rules fail too.
      if (!errors.has(found.pointer)) errors.set(found.pointer, found);
      if (errors.size === MAX_PROBLEMS) break;
    }
    return [...errors.values()];
  };
}

/**
 * Leaves out the errors of unions, "fits no alternative" and "must be null": the errors of the other alternatives say what is
 * wrong.
 */
function withoutUnions(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const telling = errors.filter(
    ({ keyword, params }) => keyword !== 'anyOf' && !(keyword === 'type' && params.type === 'null'),
  );
  return telling.length === 0 ? errors : telling;
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
      return { pointer: at(error.params.tag), message: oneOf(tagsOf(error)) };
    case 'enum':
      return { pointer: error.instancePath, message: oneOf(error.params.allowedValues as unknown[]) };
    case 'format':
      return {
        pointer: error.instancePath,
        message: error.params.format === 'date-time' ? TIME_FAULT : formatFault(String(error.params.format)),
      };
    case 'pattern':
      return {
        pointer: error.instancePath,
        message: ruleOf(String(error.params.pattern)) ?? error.message ?? 'is not valid',
      };
    case 'minLength':
    case 'minItems':
    case 'minProperties':
    case 'maxLength':
    case 'maxItems':
    case 'maxProperties':
      return { pointer: error.instancePath, message: sizeFault(error.keyword, Number(error.params.limit)) };
    case 'type':
      return { pointer: error.instancePath, message: `must be ${[error.params.type].flat().join(' or ')}` };
    case 'uniqueItems':
      return {
        pointer: error.instancePath,
        message: `must not repeat an item: ${error.params.i} and ${error.params.j} are the same`,
      };
    case 'const':
      return { pointer: error.instancePath, message: `must be ${String(error.params.allowedValue)}` };
    default:
      return { pointer: error.instancePath, message: error.message ?? 'is not valid' };
  }
}

/** The most values that a message names. */
const MAX_NAMED = 60;

function oneOf(values: readonly unknown[]): string {
  const named = values.slice(0, MAX_NAMED).join(', ');
  return `must be one of ${named}${values.length > MAX_NAMED ? ', …' : ''}`;
}

/** The values of the property that tells the alternatives of a schema apart. */
function tagsOf({ parentSchema, params }: ErrorObject): unknown[] {
  const alternatives: unknown = parentSchema?.oneOf;
  if (!Array.isArray(alternatives)) return [];
  return alternatives.map((one) => at(one, 'properties', String(params.tag), 'const'));
}

const UNITS = { Length: 'character', Items: 'item', Properties: 'member' } as const;

/** The message for a text, list or object with too few or too many parts. */
function sizeFault(keyword: string, limit: number): string {
  if (keyword.startsWith('min') && limit === 1) return 'must not be empty';
  const unit = UNITS[keyword.slice(3) as keyof typeof UNITS];
  return `must have at ${keyword.startsWith('min') ? 'least' : 'most'} ${limit} ${unit}${limit === 1 ? '' : 's'}`;
}

/** Rules that a schema cannot express, asked of a body that may not be valid. */
export type Rules = (body: unknown) => Promise<FieldError[]>;

/**
 * All errors of a body: those of its schema (`broken`), and those that the rules find in the valid parts. With too many
 * errors of the schema the valid parts are unknown, so the rules are skipped.
 * The body cannot be used afterwards, because its invalid parts are removed.
 */
export async function allFaults(body: unknown, broken: FieldError[], rules: Rules): Promise<FieldError[]> {
  if (broken.length >= MAX_PROBLEMS) return broken;
  if (broken.length === 0) return rules(body);
  const isReported = (pointer: string) =>
    broken.some((one) => pointer === one.pointer || pointer.startsWith(`${one.pointer}/`));
  const found = await rules(withoutInvalid(body, broken));
  return [...broken, ...found.filter((one) => !isReported(one.pointer))];
}

/** The body without the parts that have errors; undefined if that is the whole body. */
function withoutInvalid(body: unknown, faults: readonly FieldError[]): unknown {
  for (const { pointer } of faults) {
    const names = pointer.split('/').slice(1).map(unescaped);
    const last = names.pop();
    if (last === undefined) return undefined;
    const holder = names.reduce(memberOf, body);
    // Keeps the indexes of the following items.
    if (Array.isArray(holder)) holder[Number(last)] = undefined;
    else if (typeof holder === 'object' && holder !== null) Reflect.deleteProperty(holder, last);
  }
  return body;
}

function unescaped(token: string): string {
  return token.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** An own member of a value; undefined if there is none. */
export function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

/** The value at a path of the body; undefined if there is none. */
export function at(body: unknown, ...path: string[]): unknown {
  return path.reduce(memberOf, body);
}
