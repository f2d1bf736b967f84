// How long a finished task is kept, as notes of what is to go when: `<org> <task>` the task with everything
// about it, `<org> <task> log` its history alone.

import type { Task } from './task.ts';

const DAY = 24 * 3600 * 1000;
const LOG = 'log';

/** What the name of a note says. */
export interface Due {
  member: string;
  /** When it is to go, ms. */
  at: number;
  org_id: string;
  task_id: string;
  /** Whether the history alone is to go. */
  log: boolean;
}

/** Name of the note for the history of a task. */
export function logNote(task: { org_id: string; task_id: string }): string {
  return `${task.org_id} ${task.task_id} ${LOG}`;
}

/** The notes of a task that ended at `ended`, each with its due time, ms. */
export function retentionNotes(task: Task, ended: number): [at: number, member: string][] {
  const { log_required, retain_days } = task.input.audit;
  const kept: [number, string] = [ended + retain_days * DAY, `${task.org_id} ${task.task_id}`];
  return log_required ? [kept] : [kept, [ended, logNote(task)]];
}

export function readNote(member: string, at: number): Due {
  const [org_id = '', task_id = '', kind] = member.split(' ');
  return { member, at, org_id, task_id, log: kind === LOG };
}
