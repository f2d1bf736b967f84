/*
 * The code of a checking thread. It answers each request with one message and keeps only compiled schemas. It has no
 * secrets (its environment is empty) and may be killed at any moment.
 */

import { parentPort } from 'node:worker_threads';
import { LRUCache } from 'lru-cache';
import { compileSchema, type OutputCheck } from './compile.ts';
import { type Problem, report } from './problem.ts';
import { unusable } from './shorthand.ts';

/** A request of the pool: check a schema, or with `output` an output against it. Both are JSON text. */
export type CheckRequest = { key: string; schema: string; output: string | null };

/** A message to the pool: the thread is ready, or the problems it found. */
export type ThreadMessage = { ready: true } | { ready: false; problems: Problem[] };

/** Most compiled schemas that a thread keeps, and their total size, bytes of schema text. */
const MAX_SCHEMAS = 200;
const MAX_SCHEMA_BYTES = 512 * 1024;

const checks = new LRUCache<string, OutputCheck>({ max: MAX_SCHEMAS, maxSize: MAX_SCHEMA_BYTES });

function problemsOf({ key, schema, output }: CheckRequest): Problem[] {
  let check = checks.get(key);
  if (check === undefined) {
    const compiled = compileSchema(JSON.parse(schema));
    if ('problems' in compiled) {
      return output === null ? compiled.problems : report(compiled.problems.map(asOutputProblem));
    }
    check = compiled.check;
    checks.set(key, check, { size: schema.length });
  }
  return output === null ? [] : check(JSON.parse(output));
}

function asOutputProblem({ pointer, message }: Problem): Problem {
  return unusable(pointer, message);
}

/** Compiles a schema with many features, so that the first request does not run cold code. */
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
  const send = (message: ThreadMessage): void => port.postMessage(message);
  warmUp();
  port.on('message', (request: CheckRequest) => send({ ready: false, problems: problemsOf(request) }));
  send({ ready: true });
}
