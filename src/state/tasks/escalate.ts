// Escalations: what is done with a task that has waited too long for a worker or for its result.

import type { EscalateCommand } from './command.ts';
import { type Status, target } from './lifecycle.ts';
import { type Escalation, escalationOf, type TaskInput, URGENCIES } from './task.ts';
import type { Transition } from './transition.ts';

/**
 * Runs an escalation that is due, or skips it when its condition does not hold; either way it does not come due again.
 * Offers that no longer fit are left to `revoke`.
 * @returns false when it is not the next one, or not due.
 */
export function escalate(transition: Transition, command: EscalateCommand): boolean {
  const { task, context } = transition;
  const { number, pool_gone, offer_ttl_ms } = command;
  const found = number === (task.escalations ?? 0) + 1 ? escalationOf(task, number) : null;
  if (found === null || !transition.requirePast(found.at)) return false;
  task.escalations = number;
  const { escalation } = found;
  if (!holds(escalation, task.status)) return true;

  const { urgency, pool } = changeOf(task.input, escalation, pool_gone);
  if (urgency !== undefined || pool !== undefined)
    transition.changeInput({
      ...(urgency !== undefined && { sla: { ...task.input.sla, urgency } }),
      ...(pool !== undefined && { requirements: { ...task.input.requirements, worker_pool_id: pool } }),
    });
  // No pending offer outlasts one that would be made now.
  const end = context.now + offer_ttl_ms;
  if (urgency !== undefined && task.offers.some((one) => one.status === 'pending' && one.expires_at > end))
    task.offers = task.offers.map((one) =>
      one.status === 'pending' ? { ...one, expires_at: Math.min(one.expires_at, end) } : one,
    );
  transition.emit('task.escalated', task.status, {
    after_seconds: escalation.after_seconds,
    while: escalation.while,
    ...(urgency !== undefined && { urgency }),
    ...(pool !== undefined && { worker_pool_id: pool }),
    ...(pool_gone && { missing_worker_pool_id: escalation.worker_pool_id }),
    ...(escalation.notify_members !== undefined && { notified_members: escalation.notify_members }),
  });
  return true;
}

/** Whether the condition of the escalation holds in this state. */
function holds({ while: condition }: Escalation, status: Status): boolean {
  // A task can be submitted until it is; a worker can accept it until one has.
  const unassigned = target('deadline', status) !== null;
  return unassigned || (condition === 'unfinished' && (status === 'accepted' || status === 'started'));
}

/** The new urgency and pool, each only if it differs from the current one. */
function changeOf(
  input: TaskInput,
  { urgency, worker_pool_id: pool }: Escalation,
  poolGone: boolean,
): { urgency?: Escalation['urgency']; pool?: string } {
  const rises = urgency !== undefined && URGENCIES.indexOf(urgency) > URGENCIES.indexOf(input.sla.urgency);
  const moves = pool !== undefined && !poolGone && pool !== input.requirements?.worker_pool_id;
  return { ...(rises && { urgency }), ...(moves && { pool }) };
}
