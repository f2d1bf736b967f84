// What must be asked of a task later. Every job about a task is one of these questions; they follow from
// the task alone, so the jobs to make after a commit are the questions it has now and did not have before,
// and a sweeper can tell at any time which jobs ought to exist. An answer is always looked up afresh.

import { broken, type Read, readShape } from '../text/forms.ts';
import { startTime } from '../workers/matching.ts';
import { isFinal, meetsClocks } from './lifecycle.ts';
import { CLOCKS, dueAt, stepAt, type Task } from './task.ts';

export const CHECKS = [
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
 * - `match`: is there a worker for it? · `verify`: does it pass the automatic checks?
 * - `auto_approve`: has no reviewer spoken? · `offer_expiry`: is offer `ref` still pending?
 * - `start_timeout`: accepted at `ref`, still not started? · `relax`: does it wait still, to be asked less? · the clocks: due and not met?
 */
export type CheckKind = (typeof CHECKS)[number];

export interface ScheduledCheck {
  kind: CheckKind;
  /** When to ask, ms. */
  at: number;
  /** What exactly it is about, where the kind alone does not say. */
  ref: string | null;
}

/** What stands as a question in an outbox entry or a job. */
export function readQuestion(value: unknown): Read<ScheduledCheck> {
  const read = readShape<ScheduledCheck>(value, { kind: 'string', at: 'number' });
  if (read.kind !== 'known') return read;
  const { kind, ref } = read.value;
  const isKnown = CHECKS.some((one) => one === kind) && (ref === null || typeof ref === 'string');
  return isKnown ? read : broken('asks what is not known');
}

/** All questions the task has, in no particular order. */
export function checksOf(task: Task): ScheduledCheck[] {
  if (isFinal(task.status)) return [];
  const asked: ScheduledCheck[] = [];
  for (const clock of CLOCKS) {
    const at = dueAt(task, clock);
    const open = !meetsClocks(task.status) && !task.breaches.some((one) => one.clock === clock);
    if (at !== null && open) asked.push({ kind: clock, at, ref: null });
  }
  switch (task.status) {
    case 'queued':
      asked.push({ kind: 'match', at: task.since, ref: null });
      relaxationChecks(task, asked);
      for (const until of new Set(task.declines.map((one) => one.until)))
        if (until > task.since) asked.push({ kind: 'match', at: until, ref: 'cool_down' });
      break;
    case 'offered':
      for (const offer of task.offers)
        if (offer.status === 'pending')
          asked.push({ kind: 'offer_expiry', at: offer.expires_at, ref: offer.offer_id });
      break;
    case 'accepted':
      if (task.assignment !== null) {
        const { accepted_at } = task.assignment;
        const at = accepted_at + startTime(task.input.sla.urgency);
        asked.push({ kind: 'start_timeout', at, ref: String(accepted_at) });
      }
      break;
    case 'submitted': {
      const { mode, auto_approve_after_seconds: wait } = task.input.output.review;
      if (mode === 'auto') asked.push({ kind: 'verify', at: task.since, ref: null });
      else if (wait !== undefined)
        asked.push({ kind: 'auto_approve', at: task.since + wait * 1000, ref: String(task.since) });
      break;
    }
  }
  return asked;
}

/** The next step of a task that waits; and, after one, a match for what is asked now. */
function relaxationChecks(task: Task, asked: ScheduledCheck[]): void {
  const relaxed = stepAt(task, task.step);
  if (relaxed !== null && relaxed > task.since)
    asked.push({ kind: 'match', at: relaxed, ref: `step-${task.step}` });
  const next = stepAt(task, task.step + 1);
  if (next !== null) asked.push({ kind: 'relax', at: next, ref: `step-${task.step + 1}` });
}

/** The questions that are asked and were not; the other way round, those that are dropped. */
export function newChecks(
  before: readonly ScheduledCheck[],
  after: readonly ScheduledCheck[],
): ScheduledCheck[] {
  if (before.length === 0 || after.length === 0) return [...after];
  const had = new Set(before.map(keyOf));
  return after.filter((one) => !had.has(keyOf(one)));
}

/**
 * Whether the very same question may be asked again after it was dropped: a clock when a submission is sent
 * back, the end of a cool-down when the next worker says no too.
 */
export function mayReturn(check: ScheduledCheck): boolean {
  const { kind, ref } = check;
  return (
    kind === 'target_latency' || kind === 'deadline' || kind === 'relax' || (kind === 'match' && ref !== null)
  );
}

/** When a task with these questions must next be looked at by the clock, ms; null when it only waits for people. Matching is not counted. */
export function nextDue(asked: readonly ScheduledCheck[]): number | null {
  let next: number | null = null;
  for (const { kind, at } of asked) if (kind !== 'match' && (next === null || at < next)) next = at;
  return next;
}

/** Tells a question from any other of its task. */
export function keyOf(check: ScheduledCheck): string {
  return `${check.kind} ${check.at} ${check.ref}`;
}
