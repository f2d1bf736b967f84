// Many tasks in one request. Each task is created or rejected independently, in its own commit; the commits run
// concurrently. With an Idempotency-Key the task ids are derived from the request, so a batch that was interrupted and
// is sent again finds the tasks it has created and creates the rest.

import Type from 'typebox';
import type { Task } from '../../../state/tasks/task.ts';
import { taskView } from '../../../state/tasks/view.ts';
import { NO_POOL } from '../../../store/commands/refusals.ts';
import { idPairFromSeed, newIdPair } from '../../../store/redis/ids.ts';
import type { KeyPrincipal } from '../../access/principal.ts';
import { ApiError, asApiError, type FieldError, invalid, problemBody } from '../../http/problem.ts';
import { refusal } from '../../http/refusal.ts';
import { closed, Problem } from '../../http/schemas.ts';
import { allFaults, bodyCheck } from '../../http/validation.ts';
import { BODY_LIMIT, BODY_LIMITS, nameFault } from '../../middleware/json-body.ts';
import { type Call, route, scope } from '../../route.ts';
import { createWithinQuota } from './task-creation.ts';
import { TaskCreate } from './task-input.schema.ts';
import { taskInput, taskRules } from './task-input.ts';
import { filledTask, type KnownTypes, mayHaveDefaults, typeOf } from './task-type-defaults.ts';
import * as schema from './task-view.schema.ts';

const MAX_TASKS = 500;
/** Concurrent commits: enough to keep the connection busy, few enough that other requests wait for some milliseconds only. */
const AT_ONCE = 10;
/** Most errors in one response, not counting the first of each task. */
const MAX_ERRORS = 500;

const list = { minItems: 1, maxItems: MAX_TASKS, description: 'The new tasks' };
const Status = Type.Integer({
  minimum: 200,
  maximum: 599,
  description: 'Status that a request for this task alone would have got',
});
const checkTask = bodyCheck(TaskCreate);

export const taskBatchRoutes = [
  route({
    method: 'POST',
    path: '/v1/tasks/batch',
    access: scope('tasks:create'),
    tag: 'Tasks',
    adds: true,
    operationId: 'createTaskBatch',
    summary: 'Create up to 500 tasks',
    description:
      'Each task is created independently of the others; the answer has one result for each, in the order of the body.',
    // An invalid task does not stop the others, so each task is validated in the handler.
    body: closed({ tasks: Type.Array(Type.Unknown(), list) }),
    bodyShown: closed({ tasks: Type.Array(TaskCreate, list) }),
    bodyLimits: {
      bytes: 16 * BODY_LIMITS.bytes,
      names: 10 * BODY_LIMITS.names,
      levels: BODY_LIMITS.levels + 2,
    },
    responses: {
      200: {
        description: 'One result per task, in the same order; error pointers refer to the whole body',
        schema: Type.Object({
          results: Type.Array(
            Type.Union([
              closed({ status: Status, task: schema.Task }, 'BatchTaskCreated', 'A task that was created'),
              closed({ status: Status, error: Problem }, 'BatchTaskRefused', 'A task that was refused'),
            ]),
            { description: 'One result per task, in the order of the request' },
          ),
        }),
      },
    },
    errors: ['org_mismatch'],
    async handler(call) {
      const { tasks } = call.body;
      const first = await call.seedForKey();
      const results: Result[] = [];
      const now = call.deps.db.clock.now();
      // In the order of the batch, before anything is awaited: lists go by these ids.
      const ids = tasks.map((_, index) => (first === null ? newIdPair(now) : idPairFromSeed(first, index)));
      const batch: Batch = { call, ids, types: new Map() };
      let errorsLeft = MAX_ERRORS;
      for (let at = 0; at < tasks.length; at += AT_ONCE) {
        const some = tasks.slice(at, at + AT_ONCE);
        const outcomes = await Promise.all(some.map((task, index) => outcome(batch, task, at + index)));
        // In the order of the batch, whichever task was checked first.
        for (const one of outcomes) {
          const shown = one instanceof ApiError ? withFewer(one, errorsLeft) : one;
          if (shown instanceof ApiError) errorsLeft -= shown.errors?.length ?? 0;
          results.push(
            shown instanceof ApiError
              ? { status: shown.status, error: problemBody(shown, call.requestId) }
              : { status: 201, task: taskView(shown) },
          );
        }
      }
      const lost = results.find((one) => 'error' in one && one.status === 503);
      // With an Idempotency-Key the whole batch can be sent again. Without one, the response must list what was created.
      if (lost !== undefined && (first !== null || results.every((one) => 'error' in one)))
        throw new ApiError('unavailable', 'Some tasks could not be created now. Send the batch again.', {
          headers: { 'Retry-After': '2' },
        });
      const skipRecording = results.every((one) => 'error' in one);
      return { status: 200, body: { results }, ...(skipRecording && { skipRecording }) };
    },
  }),
];

type Result = { status: number; task: object } | { status: number; error: object };

interface Batch {
  call: Call<KeyPrincipal>;
  /** Ids of each task and of the gold task that may come with it; with an Idempotency-Key a repeated request has the same. */
  ids: readonly (readonly [task: string, gold: string])[];
  /** The task types loaded for it. */
  types: KnownTypes;
}

/** Creates the task at `index`. @returns the task, or the error meant for the client. @throws any other error */
async function outcome(batch: Batch, given: unknown, index: number): Promise<Task | ApiError> {
  try {
    return await make(batch, given, index);
  } catch (error) {
    const shown = asApiError(error);
    if (shown.code === 'internal_error') throw error;
    return shown;
  }
}

/** The error with at most `count` of its field errors, but at least one of them. */
function withFewer(error: ApiError, count: number): ApiError {
  if (error.code !== 'validation_failed' || error.errors === null || error.errors.length <= count)
    return error;
  return invalid(...error.errors.slice(0, Math.max(1, count)));
}

async function make(batch: Batch, given: unknown, index: number) {
  const { deps, principal, actor, callerGuards } = batch.call;
  if (Buffer.byteLength(JSON.stringify(given)) > BODY_LIMIT)
    throw new ApiError('body_too_large', `The task is larger than ${BODY_LIMIT} bytes.`);
  const body = await checked(batch, given, index);
  const input = taskInput(deps, principal, body);
  const [taskId, goldId] = batch.ids[index] ?? [];
  const created = await createWithinQuota(deps, input, {
    org_id: principal.org_id,
    actor,
    callerGuards,
    type: typeOf(body),
    taskId,
    goldId,
    requirePool: true,
  });
  if (!created.ok && created.code === 'pool_gone')
    throw invalid({ ...NO_POOL, pointer: `/tasks/${index}${NO_POOL.pointer}` });
  if (!created.ok) throw refusal(created);
  return created.task;
}

/** The valid body of the task at `index`. @throws ApiError 422, with pointers into the whole body */
async function checked(batch: Batch, given: unknown, index: number): Promise<TaskCreate> {
  const { deps, principal } = batch.call;
  const namesFault = nameFault(given, BODY_LIMITS.names);
  if (namesFault === null && (await mayHaveDefaults(deps, principal, given)))
    return filledTask(deps, principal, given, batch.types).catch((error: unknown) => {
      throw error instanceof ApiError && error.errors !== null ? refused(error.errors, index) : error;
    });
  const faults =
    namesFault !== null
      ? [namesFault]
      : await allFaults(given, checkTask(given), (body) => taskRules(body, { deps, principal }));
  if (faults.length > 0) throw refused(faults, index);
  // `checkTask` has validated it against the schema that this type comes from.
  return given as TaskCreate;
}

/** The refusal of the task at `index`, with pointers into the whole body. */
function refused(faults: readonly FieldError[], index: number): ApiError {
  return invalid(...faults.map((one) => ({ ...one, pointer: `/tasks/${index}${one.pointer}` })));
}
