// Many tasks in one request. Each is made, or refused, by itself and in a commit of its own; the commits go out
// together. Under an Idempotency-Key the ids follow from the request, so that a batch that died half-way and is
// sent again finds what it made and makes the rest.

import Type from 'typebox';
import { taskView } from '../../../state/tasks/view.ts';
import { idFromSeed } from '../../../store/redis/ids.ts';
import { ApiError, asApiError, invalid, problemBody } from '../../http/problem.ts';
import { NO_POOL, refusal } from '../../http/refusal.ts';
import { type Call, type KeyPrincipal, route, scope } from '../../http/route.ts';
import { closed, Problem } from '../../http/schemas.ts';
import { allFaults, bodyCheck } from '../../http/validation.ts';
import { BODY_LIMIT, LIMITS, nameFault } from '../../middleware/json-body.ts';
import { createWithinQuota } from './task-creation.ts';
import { taskInput, taskRules } from './task-input.ts';
import * as schema from './tasks.schema.ts';

const TASKS_MOST = 500;
/** How many commits are under way at once: enough to fill the line, few enough for others to get through. */
const AT_ONCE = 50;
/** Most faults that one answer tells of, beyond the first of each task. */
const FAULTS_MOST = 500;

const list = { minItems: 1, maxItems: TASKS_MOST };
const Status = Type.Integer({ description: 'What a request for this task alone would have been answered' });
const checkTask = bodyCheck(schema.TaskCreate);

export const taskBatchRoutes = [
  route({
    method: 'POST',
    path: '/v1/tasks/batch',
    access: scope('tasks:create'),
    tag: 'Tasks',
    summary: 'Create up to 500 tasks, each by itself',
    // A task that is wrong does not stop the others, so what each must be is not asked of the body as a whole.
    body: closed({ tasks: Type.Array(Type.Unknown(), list) }),
    bodyShown: closed({ tasks: Type.Array(schema.TaskCreate, list) }),
    bodyLimits: { bytes: 16 * LIMITS.bytes, names: 10 * LIMITS.names, levels: LIMITS.levels + 2 },
    answers: {
      200: {
        description: 'What became of each task, in their order; pointers are into the whole body',
        schema: Type.Object({
          results: Type.Array(
            Type.Union([
              closed({ status: Status, task: schema.Task }),
              closed({ status: Status, error: Problem }),
            ]),
          ),
        }),
      },
    },
    async handler(call) {
      const { tasks } = call.body;
      const first = await call.idSeed();
      const results: Result[] = [];
      const batch: Batch = { call, first, faultsLeft: FAULTS_MOST };
      for (let at = 0; at < tasks.length; at += AT_ONCE) {
        const some = tasks.slice(at, at + AT_ONCE);
        results.push(...(await Promise.all(some.map((task, index) => result(batch, task, at + index)))));
      }
      const lost = results.find((one) => 'error' in one && one.status === 503);
      // With a key the whole is best sent again. Without, what was made must be told.
      if (lost !== undefined && (first !== null || results.every((one) => 'error' in one)))
        throw new ApiError('unavailable', 'Not every task could be taken now. Send the batch again.', {
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
  /** What the ids of the tasks follow from; null for nothing. */
  first: string | null;
  /** How many more faults the answer may tell of. */
  faultsLeft: number;
}

/** Makes the task at `index`, or says why not. @throws what is a fault of ours */
async function result(batch: Batch, given: unknown, index: number): Promise<Result> {
  try {
    return { status: 201, task: taskView(await make(batch, given, index)) };
  } catch (error) {
    const shown = asApiError(error);
    if (shown.code === 'internal_error') throw error;
    return { status: shown.status, error: problemBody(shown, batch.call.requestId) };
  }
}

async function make(batch: Batch, given: unknown, index: number) {
  const { deps, principal, actor } = batch.call;
  if (Buffer.byteLength(JSON.stringify(given)) > BODY_LIMIT)
    throw new ApiError('body_too_large', `The task is larger than ${BODY_LIMIT} bytes.`);
  const backlogged = nameFault(given, LIMITS.names);
  const faults =
    backlogged !== null
      ? [backlogged]
      : await allFaults(given, checkTask(given), (body) => taskRules(body, { deps, principal }));
  if (faults.length > 0) {
    const told = faults.slice(0, Math.max(1, batch.faultsLeft));
    batch.faultsLeft -= told.length;
    throw invalid(...told.map((one) => ({ ...one, pointer: `/tasks/${index}${one.pointer}` })));
  }
  // Nothing was found wrong with it by the schema that this type comes from.
  const input = taskInput(deps, principal, given as schema.TaskCreate);
  const taskId = batch.first === null ? undefined : idFromSeed(batch.first, index);
  const created = await createWithinQuota(deps, input, {
    org_id: principal.org_id,
    actor,
    taskId,
    requirePool: true,
  });
  if (!created.ok && created.code === 'pool_gone')
    throw invalid({ ...NO_POOL, pointer: `/tasks/${index}${NO_POOL.pointer}` });
  if (!created.ok) throw refusal(created);
  return created.task;
}
