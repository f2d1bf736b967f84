// Schemas of the requirements of a task.

import Type from 'typebox';
import { DEFAULT_MAX_ATTEMPTS, SOFT } from '../../../state/tasks/task.ts';
import { ClientId, closed, described, Labels, Uuid, word } from '../../http/schemas.ts';
import { AfterSeconds } from './task-sla.schema.ts';

const Soft = {
  skills: Type.Optional(described(Labels, 'Skills that the worker must have, all of them')),
  certifications: Type.Optional(described(Labels, 'Certifications that the worker must have, all of them')),
  trust_level: Type.Optional(
    Type.Number({ minimum: 0, maximum: 5, description: 'Lowest trust level of the worker' }),
  ),
  min_rating: Type.Optional(
    Type.Number({ minimum: 0, maximum: 5, description: 'Lowest rating of the worker' }),
  ),
  min_accuracy: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'Least share of known answers (`output.gold`) that the worker gave right',
    }),
  ),
};

/** Most tasks that a task may exclude. */
export const MAX_EXCLUDED_TASKS = 20;
const NAMED = { maxItems: 100, uniqueItems: true };
export const Required = {
  ...Soft,
  hard: Type.Optional(
    Type.Array(word(SOFT), {
      maxItems: SOFT.length,
      uniqueItems: true,
      description: 'Requirements that no relaxation step may change',
    }),
  ),
  steps: Type.Optional(
    Type.Array(
      closed(
        {
          after_seconds: AfterSeconds,
          requirements: closed(Soft, 'SoftRequirements', 'Requirements that may be relaxed'),
        },
        'RelaxationStep',
      ),
      {
        maxItems: 10,
        description:
          'Relaxation steps: from this time after the start (creation or not_before) on, these requirements replace all that are not hard',
      },
    ),
  ),
  worker_pool_id: Type.Optional(described(ClientId, 'Only workers of this pool')),
  worker_ids: Type.Optional(
    Type.Array(ClientId, { ...NAMED, minItems: 1, description: 'Only these workers' }),
  ),
  excluded_worker_ids: Type.Optional(
    Type.Array(ClientId, { ...NAMED, description: 'None of these workers' }),
  ),
  excluded_tasks: Type.Optional(
    Type.Array(Uuid, {
      maxItems: MAX_EXCLUDED_TASKS,
      uniqueItems: true,
      description: 'Nobody to whom one of these tasks was ever assigned',
    }),
  ),
  max_attempts: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 100,
      default: DEFAULT_MAX_ATTEMPTS,
      description: 'Attempts after which the task fails instead of returning to the queue',
    }),
  ),
};
export const Requirements = closed(
  Required,
  'TaskRequirements',
  'What a worker must have to be offered the task; a missing member requires nothing',
);
