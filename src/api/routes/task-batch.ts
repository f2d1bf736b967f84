// Many tasks in one request. Each is made, or refused, by itself and in a commit of its own; the commits go out
// together. Under an Idempotency-Key the ids follow from the request, so that a batch that died half-way and is
// sent again finds what it made and makes the rest.

import Type from 'typebox';
import { taskView } from '../../state/view.ts';
import { createTask } from '../../store/change.ts';
import { idInSeries } from '../../store/ids.ts';
import { BODY_LIMIT } from '../middleware/json-body.ts';
import { ApiError, asApiError, invalid, problemBody } from '../problem.ts';
import { type Call, type KeyPrincipal, route, scope } from '../route.ts';
import { closed, Problem } from '../schemas.ts';
import { bodyCheck, withoutRepeats } from '../validation.ts';
import { taskInput, taskRules } from './task-input.ts';
import * as schema from './tasks.schema.ts';
import { refusal } from './tasks.ts';

const TASKS_MOST = 500;
/** How many commits are under way at once: enough to fill the line, few enough for others to get through. */
const AT_ONCE = 50;

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
    bodyLimits: { bytes: 16 * BODY_LIMIT, names: 100_000 },
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
      const first = await call.series();
      const results: Result[] = [];
      for (let at = 0; at < tasks.length; at += AT_ONCE) {
        const some = tasks.slice(at, at + AT_ONCE);
        results.push(
          ...(await Promise.all(some.map((task, index) => result(call, task, at + index, first)))),
        );
      }
      const lost = results.find((one) => 'error' in one && one.status === 503);
      // With a key the whole is best sent again. Without, what was made must be told.
      if (lost !== undefined && (first !== null || results.every((one) => 'error' in one)))
        throw new ApiError('unavailable', 'Not every task could be taken now. Send the batch again.', {
          headers: { 'Retry-After': '2' },
        });
      return { status: 200, body: { results } };
    },
  }),
];

type Result = { status: number; task: object } | { status: number; error: object };

/** Makes the task at `index`, or says why not. @throws what is a fault of ours */
async function result(
  call: Call<KeyPrincipal>,
  given: unknown,
  index: number,
  first: string | null,
): Promise<Result> {
  try {
    return { status: 201, task: taskView(await make(call, given, index, first)) };
  } catch (error) {
    const shown = asApiError(error);
    if (shown.code === 'internal_error') throw error;
    return { status: shown.status, error: problemBody(shown, call.requestId) };
  }
}

async function make(call: Call<KeyPrincipal>, given: unknown, index: number, first: string | null) {
  const { deps, principal, actor } = call;
  if (Buffer.byteLength(JSON.stringify(given)) > BODY_LIMIT)
    throw new ApiError('body_too_large', `The task is larger than ${BODY_LIMIT} bytes.`);
  const broken = checkTask(given);
  const rules = await taskRules(given, { deps, principal });
  const faults = withoutRepeats(broken, rules);
  if (faults.length > 0)
    throw invalid(...faults.map((one) => ({ ...one, pointer: `/tasks/${index}${one.pointer}` })));
  // Nothing was found wrong with it by the schema that this type comes from.
  const input = taskInput(deps, principal, given as schema.TaskCreate);
  const taskId = first === null ? undefined : idInSeries(first, index);
  const created = await createTask(deps.db, input, { org_id: principal.org_id, actor, taskId });
  if (!created.ok) throw refusal(created);
  return created.task;
}
