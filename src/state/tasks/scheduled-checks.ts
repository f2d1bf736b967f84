// The checks scheduled for a task: only which and when. What is done when one is due is in `processors/timers.ts`.
// Every job about
// a task is one of these checks, and they follow from the task alone. So a commit creates jobs for the checks that the
// task has now and did not have before, and the sweeper can always tell which jobs should exist. A check loads the task
// again when it runs.

import { broken, isObject, type Read, readShape, type Shape } from '../text/forms.ts';
import { dueSoonAt } from './due-soon.ts';
import { isFinal, isSubmitted } from './lifecycle.ts';
import { stepAt } from './relaxation.ts';
import { dueAt, escalationOf, SLA_CLOCKS, startsAt, startTime, type Task } from './task.ts';
import { isReported } from './waiting.ts';

/** A check, and when to run it (`at`, ms): at once, or at a later time (`DelayedCheck`). */
export type ScheduledCheck =
  /** Is there a worker for the task? Asked as soon as it is queued. */
  | { kind: 'match'; at: number; after: null }
  /** Does the submission pass the automatic checks? */
  | { kind: 'verify'; at: number }
  | DelayedCheck;

export type DelayedCheck =
  /** Is the task, created with a `not_before`, to be queued? */
  | { kind: 'queue'; at: number }
  /** Is there a worker now that a cool-down has ended, or a relaxation step applies? */
  | { kind: 'match'; at: number; after: 'cool_down' | 'relaxation' }
  /** Is the submission of this time (ms) still not reviewed? */
  | { kind: 'auto_approve'; at: number; submitted_at: number }
  /** Is the offer still pending? */
  | { kind: 'offer_expiry'; at: number; offer_id: string }
  /** Accepted at this time (ms), has the task still not been started? */
  | { kind: 'start_timeout'; at: number; accepted_at: number }
  /** Is the task still queued when its relaxation step, counted from 1, is due? */
  | { kind: 'relax'; at: number; step: number }
  /** Does the condition of the escalation, counted from 1, hold when it is due? */
  | { kind: 'escalate'; at: number; number: number }
  /** Is a worker at work although the deadline is near? */
  | { kind: 'due_soon'; at: number }
  /** Is the SLA clock due and not met? */
  | { kind: 'target_latency'; at: number }
  | { kind: 'deadline'; at: number };

export type VerifyCheck = Extract<ScheduledCheck, { kind: 'verify' }>;
/** A check with a job of its own; a match at once is requested instead. */
export type JobCheck = VerifyCheck | DelayedCheck;

type CheckKind = ScheduledCheck['kind'];

const SHAPES: { [K in CheckKind]: Shape<Extract<ScheduledCheck, { kind: K }>> } = {
  match: { at: 'number', after: 'string or null' },
  verify: { at: 'number' },
  queue: { at: 'number' },
  auto_approve: { at: 'number', submitted_at: 'number' },
  offer_expiry: { at: 'number', offer_id: 'string' },
  start_timeout: { at: 'number', accepted_at: 'number' },
  relax: { at: 'number', step: 'number' },
  escalate: { at: 'number', number: 'number' },
  due_soon: { at: 'number' },
  target_latency: { at: 'number' },
  deadline: { at: 'number' },
};

/**
 * The current format version of checks in outbox entries and jobs. Version 1 has no `escalate`, version 2 no `queue`, version 3 no
 * `due_soon`; 4 and 5 are those of other outbox entries.
 */
export const CHECK_FORM = 6;

/** The lowest format version that has all of these checks, so that older processes can run what they know. */
export function formOfChecks(checks: readonly ScheduledCheck[]): number {
  if (checks.some(({ kind }) => kind === 'due_soon')) return CHECK_FORM;
  if (checks.some(({ kind }) => kind === 'queue')) return 3;
  return checks.some(({ kind }) => kind === 'escalate') ? 2 : 1;
}

/** Reads a check in an outbox entry or a job. */
export function readCheck(value: unknown): Read<ScheduledCheck> {
  if (!isObject(value) || !isKind(value.kind)) return broken('names an unknown check');
  const read = readShape<ScheduledCheck>(value, SHAPES[value.kind]);
  const isKnownCheck =
    read.kind !== 'known' || read.value.kind !== 'match' || isMatchTrigger(read.value.after);
  return isKnownCheck ? read : broken('names an unknown check');
}

function isKind(kind: unknown): kind is CheckKind {
  return typeof kind === 'string' && Object.hasOwn(SHAPES, kind);
}

function isMatchTrigger(after: unknown): boolean {
  return after === null || after === 'cool_down' || after === 'relaxation';
}

/** Whether the job of a check is for a later time, and not to be run at once. */
export function isDelayed(check: ScheduledCheck): check is DelayedCheck {
  return check.kind !== 'verify' && hasJob(check);
}

/** Whether the check has a job of its own: all but a match at once, which is requested in a turn of the org. */
export function hasJob(check: ScheduledCheck): check is JobCheck {
  return check.kind !== 'match' || check.after !== null;
}

/** Whether it is a match at a later time, whose job is removed when the check is no longer needed. */
export function isLaterMatch(check: ScheduledCheck): check is DelayedCheck & { kind: 'match' } {
  return check.kind === 'match' && check.after !== null;
}

/**
 * A moment gets its job this long before, ms. Most checks are cancelled earlier, and never cost a job.
 * `processors/check-scheduler.ts` adds the jobs of those that are still scheduled then.
 */
export const SCHEDULED_AHEAD = 60_000;

/** Whether a job runs the check that exists by now: it is due soon, or not in the index of due times. @param now ms */
export function isScheduledNow(check: ScheduledCheck, now: number): boolean {
  return check.kind === 'match' || check.at <= now + SCHEDULED_AHEAD;
}

/** Distinguishes checks of one kind with the same time; null for kinds that a task has at most one of. */
export function checkSubject(check: ScheduledCheck): string | number | null {
  switch (check.kind) {
    case 'match':
      return check.after;
    case 'auto_approve':
      return check.submitted_at;
    case 'offer_expiry':
      return check.offer_id;
    case 'start_timeout':
      return check.accepted_at;
    case 'relax':
      return check.step;
    case 'escalate':
      return check.number;
    case 'verify':
    case 'queue':
    case 'due_soon':
    case 'target_latency':
    case 'deadline':
      return null;
  }
}

/** All checks of the task, in no particular order. */
export function checksOf(task: Task): ScheduledCheck[] {
  if (isFinal(task.status)) return [];
  const checks: ScheduledCheck[] = [];
  for (const clock of SLA_CLOCKS) {
    const at = dueAt(task, clock);
    const isRunning = !isSubmitted(task.status) && !task.breaches.some((breach) => breach.clock === clock);
    if (at !== null && isRunning) checks.push({ kind: clock, at });
  }
  const number = (task.escalations ?? 0) + 1;
  const next = escalationOf(task, number);
  if (next !== null) checks.push({ kind: 'escalate', at: next.at, number });
  // Without a `not_before` it is queued in the commit that creates it.
  if (task.status === 'created' && task.input.not_before !== undefined)
    checks.push({ kind: 'queue', at: startsAt(task) });
  // The other checks are those of the copies.
  if (task.copies !== undefined) return checks;
  const soon = dueSoonAt(task);
  if (soon !== null) checks.push({ kind: 'due_soon', at: soon });
  switch (task.status) {
    case 'queued':
      if (isReported(task)) break;
      checks.push({
        kind: 'match',
        at: Math.max(task.status_changed_at, task.input_changed_at ?? 0),
        after: null,
      });
      relaxationChecks(task, checks);
      for (const until of new Set(task.declines.map((one) => one.until)))
        if (until > task.status_changed_at) checks.push({ kind: 'match', at: until, after: 'cool_down' });
      break;
    case 'offered':
      for (const offer of task.offers)
        if (offer.status === 'pending')
          checks.push({ kind: 'offer_expiry', at: offer.expires_at, offer_id: offer.offer_id });
      break;
    case 'accepted':
      if (task.assignment !== null) {
        const { accepted_at } = task.assignment;
        const at = accepted_at + startTime(task.input.sla.urgency);
        checks.push({ kind: 'start_timeout', at, accepted_at });
      }
      break;
    case 'submitted': {
      const { mode, auto_approve_after_seconds: wait } = task.input.output.review;
      if (mode === 'auto') checks.push({ kind: 'verify', at: task.status_changed_at });
      else if (wait !== undefined)
        checks.push({
          kind: 'auto_approve',
          at: task.status_changed_at + wait * 1000,
          submitted_at: task.status_changed_at,
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
    checks.push({ kind: 'match', at: relaxed, after: 'relaxation' });
  const next = stepAt(task, task.step + 1);
  if (next !== null) checks.push({ kind: 'relax', at: next, step: task.step + 1 });
}

/** The checks in `checks` that are not in `others`. */
export function checksOnlyIn(
  checks: readonly ScheduledCheck[],
  others: readonly ScheduledCheck[],
): ScheduledCheck[] {
  if (checks.length === 0 || others.length === 0) return [...checks];
  const otherKeys = new Set(others.map(checkKey));
  return checks.filter((check) => !otherKeys.has(checkKey(check)));
}

/**
 * The checks that a change schedules: new checks, and an existing delayed check that is now the earliest (the index holds
 * only the earliest).
 */
export function checksToSchedule(
  checks: readonly ScheduledCheck[],
  before: readonly ScheduledCheck[],
): ScheduledCheck[] {
  const isNew = new Set(checksOnlyIn(checks, before));
  const due = nextDue(checks);
  const isNext = (check: ScheduledCheck) => check.kind !== 'match' && isDelayed(check) && check.at === due;
  const hasChanged = due !== nextDue(before);
  return checks.filter((check) => isNew.has(check) || (hasChanged && isNext(check)));
}

/**
 * When the next of these checks is due, ms; null when none is. Matches are left out: they are not in the `due` index; their
 * jobs are added at once, with a delay if needed.
 */
export function nextDue(checks: readonly ScheduledCheck[]): number | null {
  let next: number | null = null;
  for (const { kind, at } of checks) if (kind !== 'match' && (next === null || at < next)) next = at;
  return next;
}

/** Identifies a check among those of its task. */
export function checkKey(check: ScheduledCheck): string {
  return `${check.kind} ${check.at} ${checkSubject(check)}`;
}
