/*
 * Compiles an untrusted schema to a function that checks outputs, with Ajv. This runs only in a thread of the pool, which
 * can be killed when it takes too long or too much memory. Each schema has its own Ajv, so that schemas cannot affect
 * each other.
 */

import { Ajv2020, type ErrorObject, type Options } from 'ajv/dist/2020.js';
import { type Collect, collectingAjv, collector, type Engine } from './collect.ts';
import { addFormats, formatFault } from './formats.ts';
import { inspectSchema } from './inspect.ts';
import { replaceKeywords } from './keywords.ts';
import { compilePattern, type Pattern } from './patterns.ts';
import { childPointer, type Problem, report } from './problem.ts';

const OPTIONS: Options = {
  strict: false, // Unknown keywords and formats are annotations (JSON Schema 2020-12, core, section 6.5).
  ownProperties: true,
  logger: false,
};

/** Number of errors at which the search stops; `report` then keeps the first distinct ones. */
const MAX_ERRORS = 1_000;

/** Returns the problems of an output, with pointers into it; [] for a valid one. */
export type OutputCheck = (output: unknown) => Problem[];

/**
 * Compiles a schema. Never throws.
 * @param schema JSON, within the limits of size and depth that the main thread has checked.
 * @returns the check, or the problems of the schema, with pointers into it.
 */
export function compileSchema(schema: unknown): { check: OutputCheck } | { problems: Problem[] } {
  const { problems, copy, patterns } = inspectSchema(schema);
  const found = report([...problems, ...metaProblems(schema)]);
  if (found.length > 0) return { problems: found };
  const pattern = (source: string): Pattern => {
    const compiled = patterns.get(source);
    return typeof compiled === 'object' ? compiled : compilePattern(source);
  };
  const engine: Engine = (options) => {
    const ajv = new Ajv2020(options);
    replaceKeywords(ajv);
    addFormats(ajv);
    return ajv;
  };
  const options: Options = {
    ...OPTIONS,
    meta: false,
    validateSchema: false,
    inlineRefs: false,
    code: { optimize: false, regExp: Object.assign(pattern, { code: 'pattern' }) },
  };
  try {
    const decide = engine(options).compile(copy as object);
    const collect = collector(decide, () =>
      collectingAjv(engine, options, MAX_ERRORS).compile(copy as object),
    );
    return { check: (output) => run(collect, output) };
  } catch (error) {
    const reason =
      error instanceof RangeError ? 'it is nested too deeply' : error instanceof Error ? error.message : '';
    return { problems: [{ pointer: '', message: `does not compile: ${reason}` }] };
  }
}

function run(collect: Collect, output: unknown): Problem[] {
  try {
    const errors = collect(output);
    if (errors.length === 0) return [];
    const problems = report(toProblems(errors));
    return problems.length > 0 ? problems : [{ pointer: '', message: 'is not valid' }];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return [{ pointer: '', message: 'is nested too deeply to be checked against this schema' }];
  }
}

let metaSchema: Collect | null = null;

/** Problems of a schema under the meta-schema of 2020-12, which is compiled once. */
function metaProblems(schema: unknown): Problem[] {
  metaSchema ??= collectMetaErrors();
  return run(metaSchema, schema);
}

function collectMetaErrors(): Collect {
  const engine: Engine = (options) => new Ajv2020(options);
  const options: Options = { ...OPTIONS, validateFormats: false };
  const whole = { $ref: 'https://json-schema.org/draft/2020-12/schema' };
  return collector(engine(options).compile(whole), () =>
    collectingAjv(engine, options, MAX_ERRORS).compile(whole),
  );
}

function* toProblems(errors: readonly ErrorObject[]): Generator<Problem> {
  for (const error of errors) {
    const problem = toProblem(error);
    if (problem !== null) yield problem;
  }
}

/** Converts an error of Ajv; null for one that only repeats another. */
function toProblem({ keyword, instancePath, params, message, propertyName }: ErrorObject): Problem | null {
  const text = message ?? 'is not valid';
  if (propertyName !== undefined) {
    return { pointer: childPointer(instancePath, propertyName), message: `is a property name that ${text}` };
  }
  switch (keyword) {
    case 'required':
    case 'dependentRequired':
      return {
        pointer: childPointer(instancePath, String(params.missingProperty)),
        message: 'is required',
      };
    case 'additionalProperties':
      return {
        pointer: childPointer(instancePath, String(params.additionalProperty)),
        message: NOT_NAMED,
      };
    case 'unevaluatedProperties':
      return {
        pointer: childPointer(instancePath, String(params.unevaluatedProperty)),
        message: NOT_NAMED,
      };
    case 'false schema':
      return { pointer: instancePath, message: 'is not allowed' };
    case 'format':
      return { pointer: instancePath, message: formatFault(String(params.format)) };
    case 'minLength':
    case 'minItems':
    case 'minProperties':
      return { pointer: instancePath, message: params.limit === 1 ? 'must not be empty' : text };
    case 'propertyNames':
    case 'if':
      return null;
    default:
      return { pointer: instancePath, message: text };
  }
}

const NOT_NAMED = 'is not allowed: the schema does not name it';
