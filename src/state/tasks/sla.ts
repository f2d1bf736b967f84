// When an SLA breach is flagged: once for each clock, at its due time, while nothing is submitted. `ending.ts` says how a
// task ends at its deadline, `scheduled-checks.ts` when the clocks are checked.

import { timestamp } from '../text/time.ts';
import type { Refusal } from './command.ts';
import { endAtDeadline } from './ending.ts';
import { isSubmitted, target } from './lifecycle.ts';
import { notDue } from './refusals.ts';
import { dueAt, SLA_CLOCKS, type SlaClock } from './task.ts';
import type { Transition } from './transition.ts';

/**
 * Flags `clock` as breached if it is due and not flagged yet, and nothing is submitted. Emits `task.sla_breached`.
 * @returns whether it was flagged
 */
export function flagBreach(
  transition: Transition,
  clock: SlaClock,
  wasSubmitted = isSubmitted(transition.task.status),
): boolean {
  const { task, context } = transition;
  const due = dueAt(task, clock);
  const isFlagged = task.breaches.some((breach) => breach.clock === clock);
  if (due === null || wasSubmitted || isFlagged || !transition.requirePast(due)) return false;
  task.breaches = [...task.breaches, { clock, due_at: due, breached_at: context.now }];
  transition.emit('task.sla_breached', task.status, {
    clock,
    due_at: timestamp(due),
    breached_at: timestamp(context.now),
  });
  return true;
}

/** Flags all SLA clocks for which `flagBreach` applies. */
export function flagBreaches(transition: Transition, wasSubmitted?: boolean): void {
  for (const clock of SLA_CLOCKS) flagBreach(transition, clock, wasSubmitted);
}

/** Flags an SLA clock that is due and not met. At the deadline, ends a task that no worker has accepted. */
export function checkClock(transition: Transition, clock: SlaClock): Refusal | null {
  const { task } = transition;
  const due = dueAt(task, clock);
  if (due === null || !transition.requirePast(due)) return notDue();
  const isFlagged = flagBreach(transition, clock);
  const endsTask = target(clock, task.status) === 'failed';
  if (endsTask) endAtDeadline(transition, 'The deadline passed and no worker had accepted the task.');
  return isFlagged || endsTask ? null : notDue();
}
