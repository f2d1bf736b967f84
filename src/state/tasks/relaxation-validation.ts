// Validates the relaxation steps of a request by the rules that no schema can express: times increase, no step is stricter
// than the previous one, and no step changes a hard requirement.

import type { FieldError } from '../text/field-error.ts';
import { isObject } from '../text/forms.ts';
import { SOFT } from './task.ts';

/** The rules that the steps of `requirements` break. @param requirements not validated yet */
export function stepErrors(requirements: unknown): FieldError[] {
  if (!isObject(requirements) || !Array.isArray(requirements.steps)) return [];
  const hard: unknown[] = Array.isArray(requirements.hard) ? requirements.hard : [];
  const errors: FieldError[] = [];
  let before: Record<string, unknown> = requirements;
  let time = 0;
  for (const [index, step] of requirements.steps.entries()) {
    if (!isObject(step) || !isObject(step.requirements)) continue;
    const pointer = `/requirements/steps/${index}`;
    const { after_seconds: after, requirements: asked } = step;
    if (typeof after === 'number' && after <= time)
      errors.push({
        pointer: `${pointer}/after_seconds`,
        message: 'must be later than in the previous step',
      });
    if (typeof after === 'number') time = after;
    for (const name of SOFT) {
      const at = `${pointer}/requirements/${name}`;
      if (asked[name] === undefined) continue;
      if (hard.includes(name))
        errors.push({ pointer: at, message: 'is a hard requirement, which no step may change' });
      else if (isStricter(before[name], asked[name]))
        errors.push({ pointer: at, message: 'must not be stricter than before' });
    }
    before = asked;
  }
  return errors;
}

function isStricter(before: unknown, now: unknown): boolean {
  if (typeof now === 'number') return now > (typeof before === 'number' ? before : 0);
  if (!Array.isArray(now)) return false;
  const had = new Set<unknown>(Array.isArray(before) ? before : []);
  return now.some((one) => !had.has(one));
}
