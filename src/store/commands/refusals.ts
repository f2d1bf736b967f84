// Why a change of a task is refused, in the codes that clients see.

import type { FieldError } from '../../state/text/field-error.ts';
import type { Created } from './change.ts';

/** A refusal with the stable code of the problem. */
export interface TaskProblem {
  code:
    | 'not_found'
    | 'pool_forbidden'
    | 'validation_failed'
    | 'version_mismatch'
    | 'quota_exceeded'
    | 'invalid_transition'
    | 'task_not_cancellable'
    | 'offer_not_pending'
    | 'question_open'
    | 'question_not_open'
    | 'task_not_rejected'
    | 'already_disputed'
    | 'dispute_too_late'
    | 'dispute_not_open';
  message: string;
  /** Fields at fault, with `validation_failed`. */
  errors?: readonly FieldError[];
  /** The limit that is reached, with `quota_exceeded`. */
  quota?: string;
}

/** The error for a pool that the org does not have. */
export const NO_POOL = { pointer: '/requirements/worker_pool_id', message: 'is not a pool of this org' };

/** The error for a deadline that is not after the `not_before` of the task. */
export const DUE_TOO_EARLY = { pointer: '/sla/deadline', message: 'must be later than not_before' };

/** The error for a target latency that ends after the deadline. */
export const TARGET_TOO_LATE = {
  pointer: '/sla/target_latency_seconds',
  message: 'must end before sla.deadline',
};

/** The problem of a refused change. */
export function problemOf({ code, message }: Extract<Created, { ok: false }>): TaskProblem {
  switch (code) {
    case 'pool_gone':
      return { code: 'validation_failed', message, errors: [NO_POOL] };
    case 'not_found':
    case 'not_yours':
      return { code: 'not_found', message: 'There is no such task.' };
    case 'stale':
      return { code: 'version_mismatch', message };
    case 'too_many_updates':
      return { code: 'quota_exceeded', message, quota: 'task_updates' };
    case 'too_many_messages':
      return { code: 'quota_exceeded', message, quota: 'messages' };
    case 'worker_busy':
    case 'not_due':
      return { code: 'invalid_transition', message };
    default:
      return { code, message };
  }
}
