// Converts rejected changes of tasks to errors for clients.

import type { Created } from '../../store/commands/change.ts';
import { ApiError, invalid, notFound } from './problem.ts';

/** The error for a pool that the org does not have. */
export const NO_POOL = { pointer: '/requirements/worker_pool_id', message: 'is not a pool of this org' };

/** The error for a rejected change. */
export function refusal(changed: Created): ApiError {
  if (changed.ok) throw new Error('the change was not rejected');
  switch (changed.code) {
    case 'pool_gone':
      return invalid(NO_POOL);
    case 'not_found':
    case 'not_yours':
      return notFound();
    case 'stale':
      return new ApiError('version_mismatch', changed.message);
    case 'too_many_updates':
      return new ApiError('quota_exceeded', changed.message, { quota: 'task_updates' });
    case 'too_many_messages':
      return new ApiError('quota_exceeded', changed.message, { quota: 'messages' });
    case 'worker_busy':
    case 'not_due':
      return new ApiError('invalid_transition', changed.message);
    default:
      return new ApiError(changed.code, changed.message);
  }
}
