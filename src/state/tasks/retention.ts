// How long a finished task is kept. Members of a sorted set say what to purge and when: `<org> <task>` the task with
// everything about it, `<org> <task> log` its history alone.

import { isDisputed } from './dispute-status.ts';
import type { Task } from './task.ts';

const DAY = 24 * 3600 * 1000;
/** How long after its retention time a task with an open dispute is kept at most. */
const DISPUTE_HOLD_DAYS = 30;
const LOG = 'log';

/** A parsed member. */
export interface Due {
  member: string;
  /** When to purge it, ms. */
  at: number;
  org_id: string;
  task_id: string;
  /** Whether to purge the history alone. */
  log: boolean;
}

/** The member for the history of a task. */
export function historyRetentionMember(task: { org_id: string; task_id: string }): string {
  return `${task.org_id} ${task.task_id} ${LOG}`;
}

/** The members for a task that ended at `ended`, each with its due time, ms. */
export function retentionMembers(task: Task, ended: number): [at: number, member: string][] {
  const { log_required, retain_days } = task.input.audit;
  const kept: [number, string] = [ended + retain_days * DAY, `${task.org_id} ${task.task_id}`];
  return log_required ? [kept] : [kept, [ended, historyRetentionMember(task)]];
}

/**
 * When a due purge of a task is tried again because a reviewer has not decided on its dispute, ms; null when it is not held.
 * @param now ms
 */
export function heldUntil(task: Task, now: number): number | null {
  const limit = task.status_changed_at + (task.input.audit.retain_days + DISPUTE_HOLD_DAYS) * DAY;
  return isDisputed(task) && now < limit ? Math.min(now + DAY, limit) : null;
}

export function parseRetentionMember(member: string, at: number): Due {
  const [org_id = '', task_id = '', kind] = member.split(' ');
  return { member, at, org_id, task_id, log: kind === LOG };
}
