/*
 * Checks output schemas of tasks, and outputs against them. Both are untrusted. The shorthand is checked in this thread; a
 * JSON Schema is checked in a thread that can be killed, because compiling or running it may take any amount of time.
 */
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { atMost } from '../state/cache-entries.ts';
import { findTooDeep, isJsonObject, type Problem } from './problem.ts';
import {
  checkShorthand,
  MAX_OUTPUT_LEVELS,
  tooDeepOutput,
  unusable,
  validateShorthand,
} from './shorthand.ts';
import { type PoolLimits, ThreadPool } from './thread-pool.ts';

export type { Problem } from './problem.ts';
export { CheckerBusyError, type PoolLimits } from './thread-pool.ts';

/** Largest schema, bytes of UTF-8, and its deepest nesting of arrays and objects. */
const MAX_SCHEMA_BYTES = 64 * 1024;
const MAX_SCHEMA_LEVELS = 32;

/** Largest output, bytes of UTF-8. */
const MAX_OUTPUT_BYTES = 256 * 1024;

/** Number of accepted schemas that are cached, by hash of 44 bytes. */
const MAX_ACCEPTED = 10_000;

/** The output that a task requires. */
export type WantedOutput = { expected_format: 'structured_json' | 'text'; schema?: unknown };

type Text = { text: string; key: string };

/** Checks schemas and outputs. It owns the threads, so a process needs one instance. See docs/output-schemas.md. */
export class OutputSchemas {
  readonly #pool: ThreadPool;
  readonly #accepted = new LRUCache<string, true>(atMost(MAX_ACCEPTED));
  readonly #underWay = new Map<string, Promise<Problem[]>>();

  /** @param limits of the pool that differ from the defaults. */
  constructor(limits: Partial<PoolLimits> = {}) {
    this.#pool = new ThreadPool(limits);
  }

  /**
   * Checks a schema.
   * @param schema parsed JSON. @param org is charged for the time.
   * @returns the problems, with pointers into the schema; [] when it is acceptable.
   * @throws CheckerBusyError when it could not be checked now.
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
    // Not shared between orgs, because their jobs run in different order.
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
   * Checks an output. A schema that `check` refuses accepts no output.
   * @param output parsed JSON. @param org is charged for the time.
   * @returns the problems, with pointers into the output; [] when it is valid.
   * @throws CheckerBusyError when it could not be checked now.
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
   * Checks an output against the requirement of its task: text that is not empty, or JSON that is valid under the schema.
   * Parameters, result and errors as in `validate`.
   */
  async checkOutput(wanted: WantedOutput, output: unknown, org: string): Promise<Problem[]> {
    if (wanted.expected_format === 'structured_json') return this.validate(wanted.schema, output, org);
    if (typeof output !== 'string') return [{ pointer: '', message: 'must be text (a JSON string)' }];
    return output === '' ? [{ pointer: '', message: 'must not be empty' }] : [];
  }

  /** Ends the threads. Checks in progress and later ones are rejected with CheckerBusyError. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** Whether it is a JSON Schema and not shorthand, in which a field may be called `type`. */
function isJsonSchema(schema: Record<string, unknown>): boolean {
  if (Object.hasOwn(schema, '$schema')) return true;
  return Object.hasOwn(schema, 'type') && schema.type === 'object' && isJsonObject(schema.properties);
}

/** The names of all fields that an output can have, of a shorthand schema; null for a JSON Schema. */
export function fieldsOf(schema: Record<string, unknown>): string[] | null {
  return isJsonSchema(schema) ? null : Object.keys(schema);
}

/** The schema as JSON text with its hash, or the problems of its size. */
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
