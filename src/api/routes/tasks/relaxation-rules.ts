// What no schema can say of the steps that loosen a task's requirements: that time goes on from one to the
// next, that each asks no more than the one before, and leaves alone what is hard.

import { SOFT } from '../../../state/tasks/task.ts';
import type { FieldError } from '../../http/problem.ts';

type Fields = Record<string, unknown>;

/** Every rule that the steps of `requirements`, which may be anything, break. */
export function stepErrors(requirements: unknown): FieldError[] {
  if (!isObject(requirements) || !Array.isArray(requirements.steps)) return [];
  const hard: unknown[] = Array.isArray(requirements.hard) ? requirements.hard : [];
  const errors: FieldError[] = [];
  let before: Fields = requirements;
  let time = 0;
  for (const [index, step] of requirements.steps.entries()) {
    if (!isObject(step) || !isObject(step.requirements)) continue;
    const pointer = `/requirements/steps/${index}`;
    const { after_seconds: after, requirements: asked } = step;
    if (typeof after === 'number' && after <= time)
      errors.push({ pointer: `${pointer}/after_seconds`, message: 'must be later than the step before' });
    if (typeof after === 'number') time = after;
    for (const name of SOFT) {
      const at = `${pointer}/requirements/${name}`;
      if (asked[name] === undefined) continue;
      if (hard.includes(name)) errors.push({ pointer: at, message: 'is hard: no step changes it' });
      else if (asksMore(before[name], asked[name]))
        errors.push({ pointer: at, message: 'must not ask for more than before' });
    }
    before = asked;
  }
  return errors;
}

function asksMore(before: unknown, now: unknown): boolean {
  if (typeof now === 'number') return now > (typeof before === 'number' ? before : 0);
  if (!Array.isArray(now)) return false;
  const had = new Set<unknown>(Array.isArray(before) ? before : []);
  return now.some((one) => !had.has(one));
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
