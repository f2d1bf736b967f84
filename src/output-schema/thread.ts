/*
 * The body of a checking thread: one question in, one answer out, nothing kept but compiled schemas.
 * It holds no secret (its environment is empty) and may be killed at any moment, in the middle of anything.
 */
import { parentPort } from 'node:worker_threads';
import { compileSchema, type OutputCheck } from './compile.ts';
import { Lru } from './lru.ts';
import { type Problem, report } from './problem.ts';
import { unusable } from './shorthand.ts';

/** What the pool asks: is `schema` (JSON text) acceptable, or, with an `output` (JSON text), is that valid? */
export type ScheduledCheck = { key: string; schema: string; output: string | null };

/** What a thread says: that it is ready for questions, or the problems it found. */
export type Answer = { ready: true } | { ready: false; problems: Problem[] };

/** Compiled schemas kept in a thread: at most so many, of so many bytes of schema in all. */
const MAX_SCHEMAS = 200;
const MAX_SCHEMA_BYTES = 512 * 1024;

const checks = new Lru<OutputCheck>(MAX_SCHEMAS, MAX_SCHEMA_BYTES);

function answer({ key, schema, output }: ScheduledCheck): Problem[] {
  let check = checks.get(key);
  if (check === undefined) {
    const compiled = compileSchema(JSON.parse(schema));
    if ('problems' in compiled) {
      return output === null ? compiled.problems : report(compiled.problems.map(asOutputProblem));
    }
    check = compiled.check;
    checks.set(key, check, schema.length);
  }
  return output === null ? [] : check(JSON.parse(output));
}

function asOutputProblem({ pointer, message }: Problem): Problem {
  return unusable(pointer, message);
}

/** Compiles something of everything, so that the first real question is not the one that pays for cold code. */
function warmUp(): void {
  const pattern = { type: 'string', pattern: '^[a-z .-]+$', minLength: 1, format: 'email' };
  const schema = {
    type: 'object',
    properties: { a: pattern, b: { $ref: '#/properties/a' } },
    required: ['a'],
  };
  const compiled = compileSchema({ ...schema, unevaluatedProperties: false });
  if ('check' in compiled) compiled.check({ a: 'x', b: 1, c: null });
}

if (parentPort !== null) {
  const port = parentPort;
  const say = (message: Answer): void => port.postMessage(message);
  warmUp();
  port.on('message', (check: ScheduledCheck) => say({ ready: false, problems: answer(check) }));
  say({ ready: true });
}
