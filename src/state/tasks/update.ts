// The update of an open task: changes its input, and what depends on it.

import type { Refusal } from './command.ts';
import { changesBetween, METADATA, patched, type TaskPatch } from './patch.ts';
import { stepsDue } from './relaxation.ts';
import { flagBreach } from './sla.ts';
import { dueAt, SLA_CLOCKS } from './task.ts';
import type { Transition } from './transition.ts';

/** Most updates of a task, since its history keeps each of them. */
export const MAX_UPDATES = 1000;

/**
 * Changes the input. A clock that was breached and is due later now, or is removed, is open again. Refused when nothing
 * changes.
 */
export function update(transition: Transition, patch: TaskPatch): Refusal | null {
  const { task, context } = transition;
  const input = patched(task.input, patch);
  const changes = changesBetween(task.input, input);
  if (changes.length === 0) return { code: 'not_due', message: 'The patch changes nothing.' };
  const updates = (task.updates ?? 0) + 1;
  if (updates > MAX_UPDATES)
    return { code: 'too_many_updates', message: `A task can be updated ${MAX_UPDATES} times.` };
  const dueBefore = new Map(SLA_CLOCKS.map((clock) => [clock, dueAt(task, clock)]));
  transition.setInput(input);
  task.updates = updates;
  task.breaches = task.breaches.filter(({ clock }) => {
    const due = dueAt(task, clock);
    return due === dueBefore.get(clock) || (due !== null && due <= context.now);
  });
  if (changes.some(({ pointer }) => pointer.startsWith('/requirements/')))
    task.step = stepsDue(task, context.now);
  transition.emit('task.updated', task.status, { changes });
  if (changes.some(({ pointer }) => pointer === METADATA)) task.metadata_since = task.sequence;
  // The deadline is left to its own check, which may also fail the task.
  flagBreach(transition, 'target_latency');
  return null;
}
