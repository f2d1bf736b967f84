// What a reviewer's decision means for a task.

import type { Command, ReviewInput } from './command.ts';
import type { Review, Task } from './task.ts';
import { isReported } from './waiting.ts';

/**
 * The commands of a decision: about the task's submission, or about the report of a queued task.
 * @param answer_of of a task with copies, with approve: whose answer is the result.
 */
export function reviewCommands(
  task: Task,
  decision: Review['decision'],
  review: ReviewInput,
  answer_of?: string,
): Command[] {
  if (decision === 'approve') return [{ name: 'approve', ...review, answer_of }, { name: 'complete' }];
  if (isReported(task) && decision === 'reassign') return [{ name: 'return_reported', ...review }];
  if (isReported(task) && decision === 'reject') return [{ name: 'reject_reported', ...review }];
  return [{ name: decision, ...review }];
}
