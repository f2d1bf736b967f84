// Converts rejected changes of tasks to errors for clients.

import type { Created } from '../../store/commands/change.ts';
import { problemOf, type TaskProblem } from '../../store/commands/refusals.ts';
import { ApiError, invalid, notFound } from './problem.ts';

/** The error for a rejected change. */
export function refusal(changed: Created): ApiError {
  if (changed.ok) throw new Error('the change was not rejected');
  return problemError(problemOf(changed));
}

/** The error for a problem of a task. */
export function problemError({ code, message, errors = [], quota }: TaskProblem): ApiError {
  if (code === 'not_found') return notFound();
  if (code === 'validation_failed') return invalid(...errors);
  return new ApiError(code, message, quota === undefined ? {} : { quota });
}
