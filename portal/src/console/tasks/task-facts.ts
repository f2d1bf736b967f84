// What follows from a task, for the pages that show it.

import type { Task } from '@biolayer/sdk';

export function isFinal({ status }: Task): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled';
}

/** When the first clock that has not been breached is due, RFC 3339; null for none. */
export function dueAt({ sla, created_at, not_before }: Task): string | null {
  const breached = new Set(sla.breaches.map((one) => one.clock));
  const start = Math.max(Date.parse(created_at), Date.parse(not_before ?? created_at));
  const times = [
    breached.has('deadline') ? undefined : sla.deadline,
    sla.target_latency_seconds === undefined || breached.has('target_latency')
      ? undefined
      : new Date(start + sla.target_latency_seconds * 1000).toISOString(),
  ].filter((one) => one !== undefined);
  return times.sort()[0] ?? null;
}

/** Whether a worker waits for the decision on their dispute. */
export function isDisputed({ dispute }: Task): boolean {
  return dispute?.status === 'open';
}

/** Whether a worker has reported the task, and nobody has decided about it. */
export function isReported({ status, report }: Task): boolean {
  return status === 'queued' && report !== null && report.decision === null;
}

/** Whether a reviewer has to decide on the task: on a dispute, a report or a submission. */
export function isInReview(task: Task): boolean {
  return isDisputed(task) || isReported(task) || (task.status === 'submitted' && isManual(task));
}

function isManual({ output }: Task): boolean {
  return output.review?.mode === 'manual';
}
