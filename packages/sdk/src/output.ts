// The type of a task's output: from a validator that implements Standard Schema (Zod, Valibot, ArkType and others), or from
// the literal JSON Schema in the request.

import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { FromSchema, JSONSchema } from 'json-schema-to-ts';
import { OutputError } from './errors.ts';
import type { Task } from './generated/client.ts';

/** The output type of a request body with a JSON Schema written as a literal; `unknown` without one. */
export type OutputOf<Body> = Body extends { output: { schema: infer Schema } }
  ? Schema extends JSONSchema
    ? FromSchema<Schema>
    : unknown
  : unknown;

/** A completed task with the type of its output. */
export type CompletedTask<Output> = Task & { status: 'completed'; result: { output: Output } };

/** @returns the task with the validated output in place @throws OutputError */
export async function withValidOutput<Output>(
  task: CompletedTask<unknown>,
  validator: StandardSchemaV1<unknown, Output>,
): Promise<CompletedTask<Output>> {
  const outcome = await validator['~standard'].validate(task.result.output);
  if (outcome.issues !== undefined) throw new OutputError(task, outcome.issues);
  return { ...task, result: { ...task.result, output: outcome.value } };
}
