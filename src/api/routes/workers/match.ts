// Explains why a task is not matched: for a waiting task, and for the body of a task that does not exist yet.

import Type from 'typebox';
import { create } from '../../../state/tasks/decide.ts';
import { stepAt } from '../../../state/tasks/relaxation.ts';
import { NAMING, startsAt, type Task } from '../../../state/tasks/task.ts';
import { isWaiting } from '../../../state/tasks/waiting.ts';
import { timestamp } from '../../../state/text/time.ts';
import type { Explanation, MatchReason } from '../../../state/workers/explain.ts';
import { AVAILABILITIES } from '../../../state/workers/worker.ts';
import { newId } from '../../../store/redis/ids.ts';
import { explainMatch, queuePosition, type Visibility } from '../../../store/workers/explain.ts';
import { maySeeWorker, visibleTask } from '../../access/pool-visibility.ts';
import { type KeyPrincipal, maySeePool } from '../../access/principal.ts';
import type { ApiDeps } from '../../deps.ts';
import type { HttpResponse } from '../../http/response.ts';
import { count, idOf, nullable, time, Wanted, WorkerId, word } from '../../http/schemas.ts';
import { route, scope } from '../../route.ts';
import { TaskCreate } from '../tasks/task-input.schema.ts';
import { taskInput, taskRules } from '../tasks/task-input.ts';
import { taskCompletion } from '../tasks/task-type-defaults.ts';
import * as schema from '../tasks/task-view.schema.ts';

const REASONS = [
  'eligible',
  'cooling_down',
  'at_capacity',
  'away',
  'nobody_qualifies',
  'scheduled',
  'not_waiting',
] as const satisfies readonly MatchReason[];

const SingleRequirement = {
  requirement: word(
    [
      'worker_pool_id',
      'unpooled_tasks',
      ...NAMING,
      'skills',
      'certifications',
      'trust_level',
      'min_rating',
      'min_accuracy',
    ],
    { description: 'A requirement of the task' },
  ),
  wanted: Wanted,
};
const Fields = {
  reason: word(REASONS, {
    description:
      'Why the task is not matched; `eligible`: it can be offered to a worker now; `scheduled`: it waits for its `not_before`, and the rest says how it would be matched now',
  }),
  workers: Type.Object(
    {
      considered: count('Workers that the key may see'),
      qualified: count('Workers who meet all requirements'),
      available: count('Qualified workers who are available'),
      eligible: count('Available workers who can be offered the task now'),
    },
    { $id: 'MatchedWorkers', description: 'How many workers there are for the task' },
  ),
  requirements: Type.Array(
    Type.Object(
      { ...SingleRequirement, rules_out: count('Workers who do not meet this requirement') },
      { $id: 'MatchedRequirement' },
    ),
    { description: 'Each requirement, with how many workers it rules out' },
  ),
  unavailable: Type.Object(
    {
      offline: count('Workers who are offline'),
      away: count('Workers who are away'),
      at_capacity: count('Workers with as many offers and tasks as they may have'),
      cooling_down: count('Workers who declined the task or let its offer expire a short time ago'),
    },
    {
      $id: 'UnavailableWorkers',
      description: 'Qualified workers who cannot be offered the task now, by reason',
    },
  ),
  nearest_misses: Type.Array(
    Type.Object(
      {
        worker_id: WorkerId,
        availability: word(AVAILABILITIES, { description: 'Whether the worker takes offers' }),
        lacks: Type.Array(
          Type.Object(
            {
              ...SingleRequirement,
              has: Type.Optional(Type.Number({ description: 'The value of the worker' })),
            },
            { $id: 'UnmetRequirement' },
          ),
          { description: 'The requirements that the worker does not meet' },
        ),
      },
      { $id: 'NearestMiss' },
    ),
    { description: 'Up to five workers who come closest to the requirements' },
  ),
  ask_again_at: nullable(time('When the next worker of the task stops cooling down; null for none')),
  step: Type.Integer({ minimum: 0, description: 'Number of relaxation steps in effect' }),
  next_step_at: nullable(time('When the next relaxation step takes effect; null for none')),
  queue: nullable(
    Type.Object(
      {
        position: Type.Integer({
          minimum: 1,
          description: 'Position among the tasks that wait for the same workers; 1 is next',
        }),
        same_requirements: count('Number of waiting tasks with the same requirements'),
      },
      { $id: 'MatchQueue', description: 'The queue that the task waits in' },
    ),
    'The queue that the task waits in; null if it does not wait',
  ),
  estimated_wait_seconds: nullable(
    Type.Integer({
      minimum: 0,
      description: 'Estimated from the throughput of the qualified, available workers; null when unknown',
    }),
  ),
};
const Match = Type.Object(
  { task_id: idOf('task'), status: schema.Task.properties.status, ...Fields },
  { $id: 'Match', description: 'Why a task is or is not matched' },
);
const Preview = Type.Object(Fields, { $id: 'MatchPreview', description: 'How a task would be matched' });

export const matchRoutes = [
  route({
    method: 'GET',
    path: '/v1/tasks/{task_id}/match',
    access: scope('tasks:read'),
    tag: 'Tasks',
    operationId: 'explainTaskMatch',
    summary: 'Explain why a task is not matched',
    description:
      'Shows how many workers each requirement rules out, which workers come nearest, and the position of the task in its queue.',
    params: Type.Object({ task_id: idOf('task') }),
    responses: { 200: { description: 'The explanation', schema: Match } },
    async handler({ deps, principal, params }) {
      const { task } = await visibleTask(deps.db, principal, params.task_id);
      return respond({
        task_id: task.task_id,
        status: task.status,
        ...(await explained(deps, principal, task)),
      });
    },
  }),
  route({
    method: 'POST',
    path: '/v1/tasks/preview',
    access: scope('tasks:create'),
    tag: 'Tasks',
    operationId: 'previewMatch',
    summary: 'Explain which workers could do a task',
    description:
      'Takes the body of a task, creates nothing, and shows how many workers are eligible, available and free.',
    body: TaskCreate,
    completion: taskCompletion,
    rules: taskRules,
    responses: { 200: { description: 'The explanation', schema: Preview } },
    errors: ['org_mismatch'],
    async handler({ deps, principal, body, actor }) {
      const now = deps.db.clock.now();
      const ids = { task_id: newId(now), org_id: principal.org_id };
      const by = { now, actor, newId: () => newId(now) };
      const { task } = create(taskInput(deps, principal, body), ids, by);
      return respond(await explained(deps, principal, task));
    },
  }),
];

/** The explanation, limited to the workers and pools that the key may see. */
async function explained(deps: ApiDeps, principal: KeyPrincipal, task: Task): Promise<object> {
  const visible: Visibility = {
    worker: (worker) => maySeeWorker(principal, worker),
    pool: (pool) => maySeePool(principal, pool),
  };
  const { sample, throughput, ask_again_at, reason, ...shown } = await explainMatch(deps.db, task, visible);
  const stepTime = stepAt(task, task.step + 1);
  const now = deps.db.clock.now();
  const startsIn = task.status === 'created' ? Math.max(0, startsAt(task) - now) : 0;
  const waits = isWaiting(task) || task.status === 'created';
  const queue = waits ? await queuePosition(deps.db, task, sample, visible) : null;
  const wait = queue === null ? null : estimate(reason, queue.position, throughput, ask_again_at, now);
  const shownReason: MatchReason = !waits ? 'not_waiting' : startsIn > 0 ? 'scheduled' : reason;
  return {
    reason: shownReason,
    ...shown,
    ask_again_at: ask_again_at === null ? null : timestamp(ask_again_at),
    step: task.step,
    next_step_at: stepTime === null || !waits ? null : timestamp(stepTime),
    queue,
    estimated_wait_seconds: wait === null ? null : Math.max(wait, Math.ceil(startsIn / 1000)),
  };
}

/** Estimated seconds until the task is offered; null when unknown. */
function estimate(
  reason: Explanation['reason'],
  position: number,
  throughput: number | null,
  askAgainAt: number | null,
  now: number,
): number | null {
  switch (reason) {
    case 'eligible':
      return 0;
    case 'cooling_down':
      return askAgainAt === null ? null : Math.max(0, Math.ceil((askAgainAt - now) / 1000));
    case 'at_capacity':
      return throughput === null ? null : Math.ceil(position / throughput);
    case 'away':
    case 'nobody_qualifies':
      return null;
  }
}

function respond(body: object): HttpResponse {
  return { status: 200, body };
}
