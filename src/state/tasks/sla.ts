// When an SLA breach is flagged: once for each clock, at its due time, while nothing is submitted. How a task ends at its
// deadline is `endAtDeadline` in `requeue.ts`; when the clocks are checked, `scheduled-checks.ts`.

import { timestamp } from '../text/time.ts';
import { isDelivered } from './lifecycle.ts';
import { dueAt, SLA_CLOCKS, type SlaClock } from './task.ts';
import type { Transition } from './transition.ts';

/**
 * Flags `clock` as breached if it is due and not flagged yet, and the task is not delivered. Emits `task.sla_breached`.
 * @returns whether it was flagged
 */
export function flagBreach(
  transition: Transition,
  clock: SlaClock,
  wasDelivered = isDelivered(transition.task.status),
): boolean {
  const { task, context } = transition;
  const due = dueAt(task, clock);
  const isFlagged = task.breaches.some((breach) => breach.clock === clock);
  if (due === null || wasDelivered || isFlagged || !transition.requirePast(due)) return false;
  task.breaches = [...task.breaches, { clock, due_at: due, breached_at: context.now }];
  transition.emit('task.sla_breached', task.status, {
    clock,
    due_at: timestamp(due),
    breached_at: timestamp(context.now),
  });
  return true;
}

/** Flags all SLA clocks for which `flagBreach` applies. */
export function flagBreaches(transition: Transition, wasDelivered?: boolean): void {
  for (const clock of SLA_CLOCKS) flagBreach(transition, clock, wasDelivered);
}
