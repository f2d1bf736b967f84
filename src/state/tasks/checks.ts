// The checks scheduled for a task. Every job about a task is one of these checks, and they follow from the task
// alone. So a commit creates jobs for the checks that the task has now and did not have before, and the sweeper can
// always tell which jobs should exist. A check loads the task again when it runs.

import { broken, type Read, readShape } from '../text/forms.ts';
import { isFinal, meetsClocks } from './lifecycle.ts';
import { CLOCKS, dueAt, startTime, stepAt, type Task } from './task.ts';

const CHECKS = [
  'match',
  'verify',
  'auto_approve',
  'offer_expiry',
  'start_timeout',
  'relax',
  'target_latency',
  'deadline',
] as const;

/**
 * - `match`: is there a worker for the task? · `verify`: does it pass the automatic checks?
 * - `auto_approve`: is there still no review? · `offer_expiry`: is offer `ref` still pending?
 * - `start_timeout`: accepted at `ref`, and still not started? · `relax`: still queued when a relaxation step is due?
 * - `target_latency`, `deadline`: is the SLA clock due and not met?
 */
type CheckKind = (typeof CHECKS)[number];

export interface ScheduledCheck {
  kind: CheckKind;
  /** When to run the check, ms. */
  at: number;
  /** What the check is about, where the kind alone does not say. */
  ref: string | null;
}

/** Reads a check in an outbox entry or a job. */
export function readCheck(value: unknown): Read<ScheduledCheck> {
  const read = readShape<ScheduledCheck>(value, { kind: 'string', at: 'number' });
  if (read.kind !== 'known') return read;
  const { kind, ref } = read.value;
  const isKnown = CHECKS.some((one) => one === kind) && (ref === null || typeof ref === 'string');
  return isKnown ? read : broken('names an unknown check');
}

/** All checks of the task, in no particular order. */
export function checksOf(task: Task): ScheduledCheck[] {
  if (isFinal(task.status)) return [];
  const checks: ScheduledCheck[] = [];
  for (const clock of CLOCKS) {
    const at = dueAt(task, clock);
    const open = !meetsClocks(task.status) && !task.breaches.some((one) => one.clock === clock);
    if (at !== null && open) checks.push({ kind: clock, at, ref: null });
  }
  switch (task.status) {
    case 'queued':
      checks.push({ kind: 'match', at: task.status_changed_at, ref: null });
      relaxationChecks(task, checks);
      for (const until of new Set(task.declines.map((one) => one.until)))
        if (until > task.status_changed_at) checks.push({ kind: 'match', at: until, ref: 'cool_down' });
      break;
    case 'offered':
      for (const offer of task.offers)
        if (offer.status === 'pending')
          checks.push({ kind: 'offer_expiry', at: offer.expires_at, ref: offer.offer_id });
      break;
    case 'accepted':
      if (task.assignment !== null) {
        const { accepted_at } = task.assignment;
        const at = accepted_at + startTime(task.input.sla.urgency);
        checks.push({ kind: 'start_timeout', at, ref: String(accepted_at) });
      }
      break;
    case 'submitted': {
      const { mode, auto_approve_after_seconds: wait } = task.input.output.review;
      if (mode === 'auto') checks.push({ kind: 'verify', at: task.status_changed_at, ref: null });
      else if (wait !== undefined)
        checks.push({
          kind: 'auto_approve',
          at: task.status_changed_at + wait * 1000,
          ref: String(task.status_changed_at),
        });
      break;
    }
  }
  return checks;
}

/** The next relaxation step of a queued task and, once a step is in force, a match under its requirements. */
function relaxationChecks(task: Task, checks: ScheduledCheck[]): void {
  const relaxed = stepAt(task, task.step);
  if (relaxed !== null && relaxed > task.status_changed_at)
    checks.push({ kind: 'match', at: relaxed, ref: `step-${task.step}` });
  const next = stepAt(task, task.step + 1);
  if (next !== null) checks.push({ kind: 'relax', at: next, ref: `step-${task.step + 1}` });
}

/** The checks in `after` that are not in `before`. With the arguments swapped: the checks to cancel. */
export function newChecks(
  before: readonly ScheduledCheck[],
  after: readonly ScheduledCheck[],
): ScheduledCheck[] {
  if (before.length === 0 || after.length === 0) return [...after];
  const had = new Set(before.map(checkKey));
  return after.filter((one) => !had.has(checkKey(one)));
}

/**
 * Whether the same check may be scheduled again after it was cancelled: a clock when a submission is sent back, the end
 * of a cool-down when the next worker declines too.
 */
export function mayReturn(check: ScheduledCheck): boolean {
  const { kind, ref } = check;
  return (
    kind === 'target_latency' || kind === 'deadline' || kind === 'relax' || (kind === 'match' && ref !== null)
  );
}

/** When the next of these checks is due, ms; null when none is. Matches do not count: they do not wait for a time. */
export function nextDue(checks: readonly ScheduledCheck[]): number | null {
  let next: number | null = null;
  for (const { kind, at } of checks) if (kind !== 'match' && (next === null || at < next)) next = at;
  return next;
}

/** Identifies a check among those of its task. */
export function checkKey(check: ScheduledCheck): string {
  return `${check.kind} ${check.at} ${check.ref}`;
}
