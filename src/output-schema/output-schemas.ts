/*
 * Output schemas, which strangers write and other strangers' work is checked against. The card's shorthand is
 * checked here and now; a JSON Schema goes to a thread that can be killed, since compiling or running one may
 * take any amount of time. Either way the answer is a list of problems, empty where there are none.
 */
import { hash } from 'node:crypto';
import { Lru } from './lru.ts';
import { type PoolLimits, ThreadPool } from './pool.ts';
import { findTooDeep, isJsonObject, type Problem } from './problem.ts';
import {
  checkShorthand,
  MAX_OUTPUT_LEVELS,
  tooDeepOutput,
  unusable,
  validateShorthand,
} from './shorthand.ts';

export { CheckerBusyError, type PoolLimits } from './pool.ts';
export type { Problem } from './problem.ts';

/** Largest schema, as JSON in bytes of UTF-8, and its deepest nesting of arrays and objects. */
const MAX_SCHEMA_BYTES = 64 * 1024;
const MAX_SCHEMA_LEVELS = 32;

/** Largest output, as JSON in bytes of UTF-8: that of a request's body. */
const MAX_OUTPUT_BYTES = 256 * 1024;

/** Schemas remembered as acceptable, by hash: 44 bytes each. */
const REMEMBERED = 10_000;

/** What a task asks for. */
export type WantedOutput = { expected_format: 'structured_json' | 'text'; schema?: unknown };

type Text = { text: string; key: string };

/** Checks schemas and outputs. One for the whole process: it owns the threads. See docs/output-schemas.md. */
export class OutputSchemas {
  readonly #pool: ThreadPool;
  readonly #accepted = new Lru<true>(REMEMBERED);
  readonly #underWay = new Map<string, Promise<Problem[]>>();

  /** `limits` of the pool: milliseconds and counts, see `PoolLimits`; what is not given has its default. */
  constructor(limits: Partial<PoolLimits> = {}) {
    this.#pool = new ThreadPool(limits);
  }

  /**
   * Whether `schema` (parsed JSON) is acceptable as a task's output schema: [] if so, else what is wrong, with
   * pointers into the schema. `org` is charged for the time it takes. Rejects with CheckerBusyError where it could not
   * be found out.
   */
  async check(schema: unknown, org = ''): Promise<Problem[]> {
    if (!isJsonObject(schema)) return [{ pointer: '', message: 'must be an object' }];
    if (!isJsonSchema(schema)) {
      const problems = checkShorthand(schema);
      return problems.length > 0 ? problems : sizeProblems(JSON.stringify(schema));
    }
    const prepared = prepare(schema);
    if (Array.isArray(prepared)) return prepared;
    const { text, key } = prepared;
    if (this.#accepted.get(key) === true) return [];
    // Not shared with other orgs, whose turn may be later.
    const sharing = `${org} ${key}`;
    let running = this.#underWay.get(sharing);
    if (running === undefined) {
      running = this.#pool
        .run({ key, schema: text, output: null }, org)
        .finally(() => this.#underWay.delete(sharing));
      this.#underWay.set(sharing, running);
    }
    const problems = await running;
    if (problems.length === 0) this.#accepted.set(key, true);
    return problems;
  }

  /**
   * Whether `output` (parsed JSON) is valid under `schema`: [] if so, else what is wrong, with pointers into the
   * output. `org` is charged for the time it takes. A schema that `check` would refuse accepts nothing. Rejects with
   * CheckerBusyError where it could
   * not be found out.
   */
  async validate(schema: unknown, output: unknown, org = ''): Promise<Problem[]> {
    if (!isJsonObject(schema)) return [unusable('', 'must be an object')];
    if (!isJsonSchema(schema)) return validateShorthand(schema, output);
    const prepared = prepare(schema);
    if (Array.isArray(prepared)) return prepared.map(({ pointer, message }) => unusable(pointer, message));
    const tooDeep = findTooDeep(output, MAX_OUTPUT_LEVELS);
    if (tooDeep !== null) return [tooDeepOutput(tooDeep)];
    const outputText = JSON.stringify(output);
    if (outputText === undefined) return [{ pointer: '', message: 'is required' }];
    if (Buffer.byteLength(outputText) > MAX_OUTPUT_BYTES) {
      return [{ pointer: '', message: `is over ${MAX_OUTPUT_BYTES / 1024} KiB` }];
    }
    return this.#pool.run({ key: prepared.key, schema: prepared.text, output: outputText }, org);
  }

  /**
   * Whether `output` (parsed JSON) is what a task asks for: text that is not empty, or JSON that is valid under its
   * schema. [] if so, else what is wrong, with pointers into the output. Rejects like `validate`.
   */
  async checkOutput(wanted: WantedOutput, output: unknown, org: string): Promise<Problem[]> {
    if (wanted.expected_format === 'structured_json') return this.validate(wanted.schema, output, org);
    return typeof output === 'string' && output !== '' ? [] : [{ pointer: '', message: 'must be text' }];
  }

  /** Ends the threads. What is being checked is rejected with CheckerBusyError, and so is what comes later. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** True for a JSON Schema, false for shorthand. A field of the shorthand may be called `type`. */
function isJsonSchema(schema: Record<string, unknown>): boolean {
  if (Object.hasOwn(schema, '$schema')) return true;
  return Object.hasOwn(schema, 'type') && schema.type === 'object' && isJsonObject(schema.properties);
}

/** The schema as JSON with its hash, or what is wrong with its size. */
function prepare(schema: Record<string, unknown>): Text | Problem[] {
  const tooDeep = findTooDeep(schema, MAX_SCHEMA_LEVELS);
  if (tooDeep !== null) {
    return [{ pointer: tooDeep, message: `is nested more than ${MAX_SCHEMA_LEVELS} levels deep` }];
  }
  const text = JSON.stringify(schema);
  const problems = sizeProblems(text);
  if (problems.length > 0) return problems;
  return { text, key: hash('sha256', text, 'base64') };
}

function sizeProblems(text: string): Problem[] {
  if (Buffer.byteLength(text) <= MAX_SCHEMA_BYTES) return [];
  return [{ pointer: '', message: `is over ${MAX_SCHEMA_BYTES / 1024} KiB` }];
}
