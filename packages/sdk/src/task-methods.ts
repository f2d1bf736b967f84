// Waiting for a task's result. A wait outlives broken connections and restarts of the server; with an idempotency key it
// outlives a restart of the caller too.

import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec';
import {
  ApiError,
  ConnectionError,
  TaskNotCompletedError,
  TimeoutError,
  WaitTimeoutError,
} from './errors.ts';
import type { CreateTaskBody, Task } from './generated/client.ts';
import { type Resource, resource } from './methods.ts';
import { type CompletedTask, type OutputOf, withValidOutput } from './output.ts';
import { pause } from './pause.ts';
import { RESOURCES } from './resources.ts';
import type { RequestOptions, Transport } from './transport.ts';

export interface WaitOptions extends Pick<RequestOptions, 'signal'> {
  /** How long to wait in all, ms; default: until the task is final. */
  timeoutMs?: number | undefined;
}

export interface CreateAndWaitOptions extends WaitOptions {
  /** A caller that starts again with the same key waits for the same task; default: a new UUID. Kept for 24 hours. */
  idempotencyKey?: string | undefined;
}

export interface TaskMethods extends Resource<typeof RESOURCES.tasks> {
  /**
   * Waits until the task is completed, failed or cancelled.
   * @throws WaitTimeoutError when that takes longer than `timeoutMs`; ApiError, such as 404
   */
  waitFor(taskId: string, options?: WaitOptions): Promise<Task>;

  /**
   * Creates a task and waits for its result. The output has the type of the validator (Standard Schema), of the JSON Schema
   * in the body when it is a literal, or the one named by the caller.
   * @throws TaskNotCompletedError when it failed or was cancelled; WaitTimeoutError; OutputError; ApiError, such as 422
   */
  createAndWait<Output>(
    body: CreateTaskBody,
    options: CreateAndWaitOptions & { output: StandardSchemaV1<unknown, Output> },
  ): Promise<CompletedTask<Output>>;
  createAndWait<const Body extends CreateTaskBody>(
    body: Body,
    options?: CreateAndWaitOptions,
  ): Promise<CompletedTask<OutputOf<Body>>>;
  createAndWait<Output>(body: CreateTaskBody, options?: CreateAndWaitOptions): Promise<CompletedTask<Output>>;
}

const FINAL: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled']);
/** One long poll, seconds: shorter than what proxies between client and server allow. */
const POLL = 50;
/** Time for the answer itself, beyond the poll, ms. */
const ANSWER_TIME = 15_000;
const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30_000;

/** The methods of `tasks`. */
export function taskMethods(transport: Transport): TaskMethods {
  const methods = resource(transport, RESOURCES.tasks);
  const waitFor = (taskId: string, options: WaitOptions = {}) => waitUntilFinal(transport, taskId, options);

  async function createAndWait(
    body: CreateTaskBody,
    options: CreateAndWaitOptions & { output?: StandardSchemaV1 } = {},
  ): Promise<CompletedTask<unknown>> {
    const { output, signal, timeoutMs } = options;
    const idempotencyKey = options.idempotencyKey ?? crypto.randomUUID();
    const until = timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
    const { task_id } = await methods.create(withSchema(body, output), { idempotencyKey, signal });
    const left = Number.isFinite(until) ? { timeoutMs: Math.max(0, until - Date.now()) } : {};
    const task = await waitFor(task_id, { signal, ...left });
    if (!isCompleted(task)) throw new TaskNotCompletedError(task);
    return output === undefined ? task : withValidOutput(task, output);
  }

  return { ...methods, waitFor, createAndWait: createAndWait as TaskMethods['createAndWait'] };
}

async function waitUntilFinal(
  transport: Transport,
  taskId: string,
  { signal, timeoutMs }: WaitOptions,
): Promise<Task> {
  const until = timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
  let last: Task | null = null;
  let failure: unknown;
  let failures = 0;
  for (;;) {
    const left = until - Date.now();
    const wait = Math.max(0, Math.min(POLL, Math.floor(left / 1000)));
    const path = { task_id: taskId };
    try {
      last = (await transport.call('getTask', wait > 0 ? { path, query: { wait } } : { path }, {
        signal,
        timeoutMs: wait * 1000 + ANSWER_TIME,
        maxRetries: 0,
      })) as Task;
      if (FINAL.has(last.status)) return last;
      failures = 0;
      failure = undefined;
    } catch (error) {
      if (!isPassing(error)) throw error;
      failures += 1;
      failure = error;
    }
    if (Date.now() >= until) throw new WaitTimeoutError(taskId, last, failure);
    // A poll of less than a second returns at once.
    const delay =
      failures > 0 ? Math.min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE) : wait === 0 ? 100 : 0;
    if (delay > 0) await pause(Math.min(delay, until - Date.now()), signal);
  }
}

/** Whether the next attempt may succeed. */
function isPassing(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 408 || error.status === 429 || error.status >= 500;
  return error instanceof ConnectionError || error instanceof TimeoutError;
}

function isCompleted(task: Task): task is CompletedTask<unknown> {
  return task.status === 'completed' && task.result !== null;
}

/** The body with the JSON Schema of a validator that can give one, unless the body has its own. */
function withSchema(body: CreateTaskBody, validator: StandardSchemaV1 | undefined): CreateTaskBody {
  if (validator === undefined || body.output?.schema !== undefined) return body;
  const standard: Partial<StandardJSONSchemaV1.Props> = validator['~standard'];
  const schema = standard.jsonSchema?.output({ target: 'draft-2020-12' });
  return schema === undefined ? body : { ...body, output: { ...body.output, schema } };
}
