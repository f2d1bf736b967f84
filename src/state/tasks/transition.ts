// A task while it is being changed, with its events so far, and the steps that several commands share: ending an offer,
// requeuing, breaching a clock, failing.

import { timestamp } from '../text/time.ts';
import type { Circumstance, Opinion } from './command.ts';
import { type EventType, meetsClocks, type Status } from './lifecycle.ts';
import {
  CLOCKS,
  type Clock,
  dueAt,
  type FailureCode,
  isRemembered,
  maxAttempts,
  type Offer,
  type Review,
  stepsDue,
  type Task,
  type TaskEvent,
  type TaskInput,
} from './task.ts';
import { resultView } from './view.ts';

/** The longest cool-down after a declined or expired offer, ms; it is the offer's life when that is shorter. */
export const COOL_DOWN_MAX = 30_000;
const DECLINES_KEPT = 200;

/** A task with so many events fails instead of returning to the queue, so that its history cannot grow forever. */
export const EVENTS_MOST = 10_000;
/** After each so many events of a task, the minimum cool-down doubles, up to an hour. */
const EVENTS_TO_DOUBLE = 300;
const LONGEST_COOL_DOWN = 3600_000;

/** The minimum cool-down of the task, ms: 0 for most, longer for a task that has been offered many times. */
function minimumCoolDown({ sequence }: Task): number {
  const doublings = Math.floor(sequence / EVENTS_TO_DOUBLE);
  return doublings === 0 ? 0 : Math.min(COOL_DOWN_MAX * 2 ** (doublings - 1), LONGEST_COOL_DOWN);
}

/** A task while it is being changed, with its events so far. */
export class Transition {
  readonly events: TaskEvent[] = [];
  task: Task;
  readonly by: Circumstance;
  /** The change is valid only from this time on, ms. */
  due: number | null = null;

  constructor(task: Task, by: Circumstance) {
    this.task = task;
    this.by = by;
  }

  /** Whether `at` has passed; if so, the change is valid only from `at` on. */
  isPast(at: number): boolean {
    return at <= this.by.now && this.restsOn(at);
  }

  /** Makes the change valid only from `at` on. @returns false while nothing may expire (see `isHeld`). */
  restsOn(at: number): boolean {
    if (this.by.isHeld === true) return false;
    this.due = Math.max(this.due ?? at, at);
    return true;
  }

  emit(type: EventType, previous: Status | null, data: Record<string, unknown>): void {
    this.task.sequence += 1;
    this.events.push({
      event_id: this.by.newId(),
      type,
      sequence: this.task.sequence,
      status: this.task.status,
      previous_status: previous,
      at: this.by.now,
      actor: this.by.actor,
      attempt: this.task.attempt,
      data,
    });
  }

  /**
   * Replaces parts of the task's input. The commit follows: record, indexes, queue position, a new match if it is queued.
   */
  changeInput(change: Partial<TaskInput>): void {
    this.task.input = { ...this.task.input, ...change };
    this.task.input_changed_at = this.by.now;
  }

  /** Moves the task to `status` and emits the event. */
  move(status: Exclude<Status, 'created'>, data: Record<string, unknown>): void {
    const previous = this.task.status;
    this.task.status = status;
    this.task.status_changed_at = this.by.now;
    this.emit(`task.${status}`, previous, data);
  }
}

/** Flags `clock` as breached when it is due, not flagged yet and not met. @returns whether it was flagged */
export function breach(
  transition: Transition,
  clock: Clock,
  met = meetsClocks(transition.task.status),
): boolean {
  const { task, by } = transition;
  const due = dueAt(task, clock);
  if (due === null || met || task.breaches.some((one) => one.clock === clock) || !transition.isPast(due))
    return false;
  task.breaches = [...task.breaches, { clock, due_at: due, breached_at: by.now }];
  transition.emit('task.sla_breached', task.status, {
    clock,
    due_at: timestamp(due),
    breached_at: timestamp(by.now),
  });
  return true;
}

/** Starts a cool-down of the worker for this task; after it, the worker ranks behind all others for a while. */
export function askOthersFirst({ task, by }: Transition, worker_id: string, coolDown = COOL_DOWN_MAX): void {
  task.declines = [
    ...task.declines.filter((one) => one.worker_id !== worker_id && isRemembered(one, by.now)),
    { worker_id, until: by.now + coolDown },
  ].slice(-DECLINES_KEPT);
}

/** Ends a pending offer. When no other offer is pending, the task goes back to the queue. */
export function endOffer(
  transition: Transition,
  offer: Offer,
  how: 'declined' | 'expired' | 'revoked',
  why: string | null,
  reason: string = how,
  retryAfterSeconds?: number,
): void {
  const { task } = transition;
  task.offers = task.offers.map((one) => (one === offer ? { ...one, status: how } : one));
  const minimum = minimumCoolDown(task);
  // A revoked offer is not the worker's doing, but a task that is offered and revoked all the time needs a pause too.
  if (how !== 'revoked' || minimum > 0) {
    const coolDown =
      retryAfterSeconds === undefined
        ? Math.min(offer.expires_at - offer.offered_at, COOL_DOWN_MAX)
        : retryAfterSeconds * 1000;
    askOthersFirst(transition, offer.worker_id, Math.max(coolDown, minimum));
  }
  if (task.offers.some((one) => one.status === 'pending')) return;
  requeue(transition, reason, { worker_id: offer.worker_id, offer_id: offer.offer_id, ...detail(why) });
}

/** Moves the task to the queue, or to `failed` when its deadline has passed or its attempts are used up. */
export function requeue(
  transition: Transition,
  reason: string,
  data: Record<string, unknown>,
  { keepAttempts = false } = {},
): void {
  const { task, by } = transition;
  const wasAtWork = task.assignment !== null;
  const deadline = dueAt(task, 'deadline');
  if (deadline !== null && transition.isPast(deadline)) {
    for (const clock of CLOCKS) breach(transition, clock, false);
    endAtDeadline(transition, 'The deadline passed and no worker had the task.');
    return;
  }
  if (task.sequence >= EVENTS_MOST) {
    fail(transition, 'attempts_exhausted', `Given up after ${task.sequence} events.`);
    return;
  }
  if (wasAtWork) {
    if (task.attempt >= maxAttempts(task) && !keepAttempts) {
      fail(transition, 'attempts_exhausted', `Given up after ${task.attempt} attempts.`);
      return;
    }
    task.attempt += 1;
    task.assignment = null;
  }
  task.step = stepsDue(task, by.now);
  transition.move('queued', { reason, ...data });
  for (const clock of CLOCKS) breach(transition, clock);
}

/** Adds a review of the submission. */
export function review({ task, by }: Transition, decision: Review['decision'], opinion: Opinion): void {
  const { feedback, rating = null } = opinion;
  if (task.submission === null) throw new Error(`task ${task.task_id} is reviewed without a submission`);
  const { worker_id } = task.submission;
  const added = { decision, feedback, rating, worker_id, reviewed_by: by.actor, reviewed_at: by.now };
  task.reviews = [...task.reviews, added];
}

export function rework(transition: Transition, opinion: Opinion): void {
  const { task } = transition;
  if (task.attempt >= maxAttempts(task) || task.assignment === null) {
    fail(transition, 'attempts_exhausted', `Given up after ${task.attempt} attempts.`);
    return;
  }
  task.attempt += 1;
  task.assignment = { ...task.assignment, submitted_at: null };
  transition.move('started', {
    worker_id: task.assignment.worker_id,
    reason: 'rework',
    ...detail(opinion.feedback),
    ...rated(opinion),
  });
  for (const clock of CLOCKS) breach(transition, clock);
}

/** Completes the task with the output of `sla.on_deadline`, or else fails it with `deadline_exceeded`. */
export function endAtDeadline(transition: Transition, message: string): void {
  const { task, by } = transition;
  if (task.input.sla.on_deadline?.action !== 'complete') {
    fail(transition, 'deadline_exceeded', message);
    return;
  }
  task.offers = task.offers.map((offer) => settle(offer, 'withdrawn'));
  task.result_source = 'default';
  task.completed_at = by.now;
  transition.move('completed', { result: resultView(task) });
}

export function fail(transition: Transition, code: FailureCode, message: string): void {
  const { task } = transition;
  task.offers = task.offers.map((offer) => settle(offer, 'withdrawn'));
  task.failure = { code, message };
  transition.move('failed', { failure: task.failure });
}

export function settle(offer: Offer, status: Offer['status']): Offer {
  return offer.status === 'pending' ? { ...offer, status } : offer;
}

export function detail(why: string | null): { detail?: string } {
  return why === null ? {} : { detail: why };
}

export function rated({ rating }: Opinion): { rating?: number } {
  return rating === undefined || rating === null ? {} : { rating };
}
