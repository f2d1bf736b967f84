// What an agent is told about a task: its state, and what to do next.

import type { Task } from '@biolayer/sdk';

const FINAL: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled']);
/** Bounds of `poll_after_ms`; between them it is a tenth of the time since the last change. */
const SHORTEST_PAUSE = 1000;
const LONGEST_PAUSE = 60_000;

/** Whether nothing further happens to the task. */
export function isFinal(task: Task): boolean {
  return FINAL.has(task.status);
}

/** What the task waits for from the caller's side; null for nothing. */
export function awaitedOf(task: Task): string | null {
  if (task.open_question !== null)
    return 'The worker waits for an answer to open_question: call answer_question.';
  if (task.report !== null && task.report.decision === null)
    return 'The worker has reported the task: call review_task with reassign or reject.';
  if (task.status === 'submitted' && task.output.review?.mode === 'manual')
    return 'The submission waits for a review: call review_task with this version.';
  return null;
}

/** The state of a task, without what the caller sent. @param now ms */
export function stateOf(task: Task, now: number) {
  const { task_id, status, version, title, open_question, submission, result, failure, cancellation } = task;
  const { report, dispute, created_at, updated_at, completed_at } = task;
  const age = now - Date.parse(updated_at);
  return {
    task_id,
    status,
    version,
    title,
    is_final: isFinal(task),
    next_step: nextStep(task),
    ...(!isFinal(task) && {
      poll_after_ms: Math.round(Math.min(Math.max(age / 10, SHORTEST_PAUSE), LONGEST_PAUSE)),
    }),
    open_question,
    submission,
    result,
    failure,
    cancellation,
    report,
    dispute,
    breaches: task.sla.breaches,
    created_at,
    updated_at,
    completed_at,
  };
}

function nextStep(task: Task): string {
  switch (task.status) {
    case 'completed':
      return 'Done: the answer is result.output.';
    case 'failed':
      return 'The task failed, so there is no answer: failure says why.';
    case 'cancelled':
      return 'The task was cancelled, so there is no answer.';
    default:
      return awaitedOf(task) ?? 'No answer yet: call wait_for_task with this task_id.';
  }
}

/** A line of a list. */
export function summaryOf(task: Task) {
  const { task_id, status, version, title, task_type, domain, sla, created_at, updated_at } = task;
  return {
    task_id,
    status,
    version,
    title,
    task_type,
    domain,
    urgency: sla.urgency,
    ...(sla.deadline !== undefined && { deadline: sla.deadline }),
    has_open_question: task.open_question !== null,
    created_at,
    updated_at,
  };
}
