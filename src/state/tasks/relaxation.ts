// Requirement relaxation: while a task is queued, its relaxation steps replace its requirements one after another.
// `relaxation-validation.ts` checks the steps of a new or updated task.

import { NAMING, type Requirements, startsAt, type Task } from './task.ts';

/** How many relaxation steps are due at `now`. */
export function stepsDue(task: Task, now: number): number {
  const steps = task.input.requirements?.steps ?? [];
  return steps.filter((one) => startsAt(task) + one.after_seconds * 1000 <= now).length;
}

/** When a relaxation step (counted from 1) is due, ms; null when there is no such step. */
export function stepAt(task: Task, step: number): number | null {
  const found = task.input.requirements?.steps?.[step - 1];
  return found === undefined ? null : startsAt(task) + found.after_seconds * 1000;
}

/** The requirements in force, after the relaxation steps so far. */
export function requirementsOf(task: Task): Requirements {
  const given = task.input.requirements ?? {};
  const step = given.steps?.[task.step - 1];
  if (step === undefined) return given;
  const kept = ['worker_pool_id' as const, ...NAMING, ...(given.hard ?? [])];
  return { ...step.requirements, ...Object.fromEntries(kept.map((name) => [name, given[name]])) };
}
