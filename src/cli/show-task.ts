// Prints a task.

import type { Output } from './output.ts';

const FIELDS = [
  'task_id',
  'status',
  'title',
  'origin.request_id',
  'not_before',
  'sla.urgency',
  'sla.deadline',
  'sla.breaches',
  'attempt',
  'assignment.worker_id',
  'submission.output',
  'submission.notes',
  'submission.worker_id',
  'submission.submitted_at',
  'submission.agreement',
  'result.output',
  'result.agreement',
  'result.copies',
  'result.notes',
  'failure.code',
  'failure.message',
  'cancellation.reason',
  'report.reason',
  'report.text',
  'report.decision',
  'dispute.status',
  'dispute.text',
  'dispute.decision_text',
  'created_at',
  'updated_at',
];

/** Prints the most important fields of a task. */
export function showTask(out: Output, task: unknown): void {
  out.answer(task, () => out.record(task, FIELDS));
}
