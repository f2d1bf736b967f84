// Schemas of a worker.

import Type from 'typebox';
import { AVAILABILITIES, MAX_CAPACITY } from '../../../state/workers/worker.ts';
import {
  ClientId,
  CreatedAt,
  described,
  Label,
  Labels,
  listOf,
  nullable,
  UpdatedAt,
  WorkerId,
  word,
} from '../../http/schemas.ts';

/** What integrators set of a worker. */
export const WorkerFields = {
  name: Type.String({ minLength: 1, maxLength: 200, description: 'Name for people' }),
  pool_ids: Type.Array(ClientId, {
    maxItems: 100,
    uniqueItems: true,
    description: 'Pools that the worker belongs to',
  }),
  unpooled_tasks: Type.Boolean({
    description:
      'Whether the worker is offered tasks without a pool. Only a key for all pools can set true. Default: true for such a key, else false',
  }),
  skills: described(Labels, 'What the worker can do'),
  certifications: described(Labels, 'What the worker is certified for'),
  trust_level: Type.Number({
    minimum: 0,
    maximum: 5,
    default: 0,
    description: 'How far the org trusts them',
  }),
  rating: Type.Number({
    minimum: 0,
    maximum: 5,
    default: 5,
    description: 'Quality of the work; ratings by reviewers change it',
  }),
  capacity: Type.Integer({
    minimum: 1,
    maximum: MAX_CAPACITY,
    default: 1,
    description: 'Most offers and tasks at the same time',
  }),
  availability: word(AVAILABILITIES, {
    default: 'offline',
    description: 'Whether the worker takes offers: only while `available`',
  }),
};
export const WorkerView = Type.Object(
  {
    worker_id: WorkerId,
    ...WorkerFields,
    draining: Type.Boolean({
      description: 'The worker finishes the current tasks, gets no new offers and then goes offline',
    }),
    active_tasks: Type.Integer({ minimum: 0, description: 'Capacity in use by offers and tasks' }),
    rating_count: Type.Integer({
      minimum: 0,
      description: 'Ratings by reviewers since `rating` was last set',
    }),
    acceptance_rate: nullable(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: 'Share of the ended offers that were accepted; null without any',
      }),
    ),
    lapse_rate: nullable(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: 'Share of the ended offers that expired unanswered; null without any',
      }),
    ),
    accuracy: nullable(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: 'Share of the latest 100 known answers (`output.gold`) that they gave right',
      }),
    ),
    accuracy_count: Type.Integer({ minimum: 0, description: 'Number of these known answers' }),
    last_seen_at: Type.Optional(
      nullable(
        Type.String({
          format: 'date-time',
          description:
            'When they last used their token, to a minute; when an integrator lists or retrieves them',
        }),
      ),
    ),
    created_at: CreatedAt,
    updated_at: UpdatedAt,
  },
  { $id: 'Worker', description: 'A person who does tasks' },
);
export const WorkerFilters = {
  pool: listOf(ClientId, 'Workers in one of these pools'),
  availability: listOf(word(AVAILABILITIES), 'Workers with one of these availabilities'),
  skill: listOf(Label, 'Workers with all of these skills'),
  idle_for_seconds: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 31_536_000, description: 'Without offers and tasks for so long' }),
  ),
  at_capacity: Type.Optional(Type.Boolean({ description: 'With as many offers and tasks as they may have' })),
};
export const WorkerParams = Type.Object({ worker_id: WorkerId });
