// Gold tasks of a task type: tasks whose answer is known, mixed among the real ones at a given rate. Their workers cannot tell
// them apart. A gold task is created in the commit of the task that it comes with, and is in no number, event or delivery.

import { hash } from 'node:crypto';
import { isObject } from '../text/forms.ts';
import { comparisonOf, copyInput, escalationsOfCopy } from './copies.ts';
import type { GoldAnswer, Task, TaskInput } from './task.ts';

/** What a gold task has instead of the defaults of its type, and the expected answer. */
export interface GoldItem extends GoldAnswer {
  title?: string;
  instructions?: string;
  context?: Record<string, unknown>;
}

/** The gold tasks of a version of a task type. */
export interface GoldMix {
  /** With how many of the real tasks a gold task is created, 0–1. */
  rate: number;
  /** Of which it is one, each as often as the others. */
  tasks: GoldItem[];
}

/** Most gold tasks of a version of a task type. */
export const MAX_GOLD_TASKS = 100;

/** Whether it is a gold task of a type. A task that the integrator created with `output.gold` is not. */
export function isGold({ gold }: Task): boolean {
  return gold !== undefined;
}

/**
 * The gold task to be created with a real one; null for none. Decided by a hash of the seed.
 * @param seed that workers do not learn: from their tasks' ids they could compute which of two is the real one
 */
export function drawGold({ rate, tasks }: GoldMix, seed: string): GoldItem | null {
  const digest = hash('sha256', seed, 'buffer');
  const [chance, choice] = [digest.readUInt32BE(0) / 2 ** 32, digest.readUInt32BE(4) / 2 ** 32];
  return chance < rate ? (tasks[Math.floor(choice * tasks.length)] ?? null) : null;
}

/**
 * The input of a gold task. What the worker has to do is that of the type and the item; who may do it and until when is that of
 * the real task.
 * @param input of the real task @param defaults of the type
 */
export function goldInput(input: TaskInput, defaults: Record<string, unknown>, item: GoldItem): TaskInput {
  // Workers who know the copies of real tasks must not miss anything.
  const shown = input.output.copies === undefined ? input : copyInput(input);
  const { handoff: _handoff, metadata: _metadata, context: _context, output, sla, ...rest } = shown;
  const { schema: _schema, ...asked } = output;
  const { on_deadline: _default, escalations: _escalations, ...clocks } = sla;
  const escalations = escalationsOfCopy(input);
  const { tolerance } = item;
  const context = item.context ?? (isObject(defaults.context) ? defaults.context : undefined);
  const { expected_format, schema } = isObject(defaults.output) ? defaults.output : {};
  return {
    ...rest,
    title: item.title ?? textOf(defaults.title, input.title),
    instructions: item.instructions ?? textOf(defaults.instructions, input.instructions),
    ...(context !== undefined && { context }),
    sla: { ...clocks, ...(escalations !== undefined && { escalations }) },
    output: {
      ...asked,
      expected_format: expected_format === 'text' ? 'text' : 'structured_json',
      ...(isObject(schema) && { schema }),
      review: { mode: 'auto' },
      gold: { output: item.output, ...comparisonOf(input), ...(tolerance !== undefined && { tolerance }) },
    },
  };
}

/** What marks the gold task that came with a real one. */
export function goldMark({ task_id, input: { output } }: Task): NonNullable<Task['gold']> {
  return output.copies === undefined
    ? { came_with: task_id, review: output.review }
    : { came_with: task_id, review: { mode: 'auto' }, like_copy: true };
}

function textOf(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}
