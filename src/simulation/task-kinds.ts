// What the tasks of a simulation are: a sum whose right answer is known, and what its integrator does with it besides.

import type { CreateTaskBody } from '@biolayer/sdk';
import { EVENT_TYPES } from '../state/tasks/lifecycle.ts';
import type { Random } from './random.ts';

/** raced: changed, sent back, cancelled and reviewed at the same time, while its worker is at work. */
export type TaskKind = 'plain' | 'reviewed' | 'cancelled' | 'updated' | 'message' | 'raced';
export type Mix = Readonly<Partial<Record<TaskKind, number>>>;

export const DEFAULT_MIX: Mix = { plain: 5, reviewed: 2, cancelled: 1, updated: 1, message: 1 };

/** The sum that a task asks for. */
export interface Question {
  a: number;
  b: number;
}

/** The body of a task. @param callback where its events are sent; null: nowhere. */
export function bodyOf(
  kind: TaskKind,
  random: Random,
  origin: { product: string; request_id: string },
  poolId: string,
  callback: string | null,
): CreateTaskBody {
  const question: Question = { a: random.integer(1, 1000), b: random.integer(1, 1000) };
  return {
    origin,
    task_type: 'addition',
    domain: 'simulation',
    title: kind,
    instructions: `Add ${question.a} and ${question.b}.`,
    context: { data: { ...question } },
    sla: { urgency: random.weighted({ normal: 6, high: 3, critical: 1 }), target_latency_seconds: 3600 },
    requirements: { worker_pool_id: poolId },
    output: {
      expected_format: 'structured_json',
      schema: { sum: 'integer' },
      review: { mode: kind === 'reviewed' || kind === 'raced' ? 'manual' : 'auto' },
    },
    ...(callback !== null && {
      handoff: {
        callback_url: callback,
        events: [...EVENT_TYPES],
        retry_policy: { max_retries: 20, backoff_seconds: 1 },
      },
    }),
  };
}

/** The question of a task, as its worker or integrator sees it. */
export function questionOf(task: { context?: { data?: unknown } }): Question {
  const { a, b } = (task.context?.data ?? {}) as Partial<Question>;
  return { a: Number(a), b: Number(b) };
}
