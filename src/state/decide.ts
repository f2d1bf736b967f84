// What a command does to a task. Pure: (task, command, now) gives the next task and its events, or a
// refusal; no clock, no Redis, no HTTP. A move that `lifecycle.ts` does not list is refused here and
// nowhere else, so API routes, processors and delayed jobs all obey the same table.

import { type CommandName, type EventType, isFinal, meetsClocks, type Status, target } from './lifecycle.ts';
import {
  CLOCKS,
  type Clock,
  dueAt,
  type FailureCode,
  isRemembered,
  maxAttempts,
  type Offer,
  poolOf,
  type Review,
  type Submission,
  stepsDue,
  type Task,
  type TaskEvent,
  type TaskInput,
} from './task.ts';
import { resultOf, timestamp } from './view.ts';

export type Command =
  | { name: 'queue' }
  | { name: 'match'; worker_ids: string[] }
  | { name: 'offer'; offers: { offer_id: string; worker_id: string; expires_at: number }[] }
  | { name: 'accept'; offer_id: string; worker_id: string }
  | {
      name: 'decline';
      offer_id: string;
      worker_id: string;
      reason: string | null;
      /** When they may be asked again, instead of after the cool-down. */
      retry_after_seconds?: number | undefined;
    }
  | { name: 'expire'; offer_id: string }
  | { name: 'revoke'; worker_id: string }
  | { name: 'start'; worker_id: string }
  | { name: 'release'; worker_id: string; reason: string | null }
  | { name: 'start_timeout'; accepted_at: number }
  | { name: 'remove_worker'; worker_id: string }
  | { name: 'remove_pool' }
  | { name: 'submit'; worker_id: string; submission: Omit<Submission, 'worker_id' | 'submitted_at'> }
  | { name: 'verify' }
  /** `submitted_at`: only this submission, not one that came after rework. */
  | ({ name: 'approve'; submitted_at?: number } & Opinion)
  | ({ name: 'rework' | 'reassign' | 'reject' } & Opinion)
  | { name: 'complete' }
  | { name: 'cancel'; reason: string | null }
  | { name: 'clock'; clock: Clock }
  | { name: 'relax' };

/** What a reviewer has to say beside the decision; `rating` 1–5. */
export interface Opinion {
  feedback: string | null;
  rating?: number | null;
}

/** Who gives the command, when, and where event ids come from. */
export interface Circumstance {
  /** Milliseconds since the epoch, by Redis' clock. */
  now: number;
  actor: string;
  newId: () => string;
}

export interface Refusal {
  code: 'invalid_transition' | 'task_not_cancellable' | 'offer_not_pending' | 'not_yours' | 'not_due';
  message: string;
}

export type Decision = { ok: true; task: Task; events: TaskEvent[] } | { ok: false; refusal: Refusal };

/** How long after saying no (or nothing) a worker is not asked again, in ms: the offer's life, at most this. */
export const COOL_DOWN_MAX = 30_000;
const DECLINES_KEPT = 200;

/** A new task in `created`, with its first event; not yet queued. */
export function create(input: TaskInput, ids: { task_id: string; org_id: string }, by: Circumstance): Draft {
  // Written out: a literal that adds this many fields to a spread is thirty times slower in V8.
  const task: Task = {
    task_id: ids.task_id,
    org_id: ids.org_id,
    input,
    status: 'created',
    version: 1,
    sequence: 0,
    attempt: 1,
    created_at: by.now,
    updated_at: by.now,
    since: by.now,
    step: 0,
    completed_at: null,
    offers: [],
    declines: [],
    assignment: null,
    submission: null,
    reviews: [],
    breaches: [],
    failure: null,
    cancellation: null,
  };
  const draft = new Draft(task, by);
  draft.emit('task.created', null, {});
  return draft;
}

/**
 * Applies `commands` in order to `task`, as one change: one new version, every event in its place.
 * The first refusal refuses them all; the given task is never altered.
 */
export function decide(task: Task, commands: readonly Command[], by: Circumstance): Decision {
  const draft = new Draft({ ...task, version: task.version + 1, updated_at: by.now }, by);
  return apply(draft, commands);
}

/** Like `decide`, on a draft that `create` made: creation and what follows share version 1. */
export function apply(draft: Draft, commands: readonly Command[]): Decision {
  for (const command of commands) {
    const refusal = step(draft, command);
    if (refusal !== null) return { ok: false, refusal };
  }
  return { ok: true, task: draft.task, events: draft.events };
}

/** A task being changed, with the events so far. */
export class Draft {
  readonly events: TaskEvent[] = [];
  task: Task;
  readonly by: Circumstance;

  constructor(task: Task, by: Circumstance) {
    this.task = task;
    this.by = by;
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

  /** Moves to `status` and tells of it. */
  move(status: Exclude<Status, 'created'>, data: Record<string, unknown>): void {
    const previous = this.task.status;
    this.task.status = status;
    this.task.since = this.by.now;
    this.emit(`task.${status}`, previous, data);
  }
}

function step(draft: Draft, command: Command): Refusal | null {
  const { task, by } = draft;
  if (command.name === 'clock') return ringClock(draft, command.clock);
  if (command.name === 'relax') return relax(draft);
  const to = target(command.name, task.status);
  if (to === null) return illegal(task, command.name);

  switch (command.name) {
    case 'queue':
      draft.move('queued', { reason: 'created' });
      return null;
    case 'match': {
      const [worker_id, ...others] = command.worker_ids;
      draft.move('matched', { worker_id, ...(others.length > 0 && { worker_ids: command.worker_ids }) });
      return null;
    }
    case 'offer': {
      task.offers = command.offers.map((offer) => ({ ...offer, status: 'pending', offered_at: by.now }));
      const told = command.offers.map((offer) => ({ ...offer, expires_at: timestamp(offer.expires_at) }));
      draft.move('offered', { ...told[0], ...(told.length > 1 && { offers: told }) });
      return null;
    }
    case 'accept': {
      const offer = pendingOffer(task, command.offer_id, command.worker_id);
      if (offer === null || offer.expires_at <= by.now) return notPending();
      task.offers = task.offers.map((other) => settle(other, other === offer ? 'accepted' : 'revoked'));
      task.assignment = {
        worker_id: offer.worker_id,
        offer_id: offer.offer_id,
        offered_at: offer.offered_at,
        accepted_at: by.now,
        started_at: null,
        submitted_at: null,
      };
      draft.move('accepted', { worker_id: offer.worker_id, offer_id: offer.offer_id });
      return null;
    }
    case 'decline': {
      const offer = pendingOffer(task, command.offer_id, command.worker_id);
      if (offer === null) return notPending();
      endOffer(draft, offer, 'declined', command.reason, 'declined', command.retry_after_seconds);
      return null;
    }
    case 'expire': {
      const offer = task.offers.find((one) => one.offer_id === command.offer_id && one.status === 'pending');
      if (offer === undefined) return notPending();
      if (offer.expires_at > by.now) return notDue();
      endOffer(draft, offer, 'expired', null);
      return null;
    }
    case 'revoke': {
      const offer = task.offers.find(
        (one) => one.worker_id === command.worker_id && one.status === 'pending',
      );
      if (offer === undefined) return notPending();
      endOffer(draft, offer, 'revoked', null);
      return null;
    }
    case 'start':
      if (task.assignment?.worker_id !== command.worker_id) return notYours();
      task.assignment = { ...task.assignment, started_at: by.now };
      draft.move('started', { worker_id: command.worker_id });
      return null;
    case 'release':
      if (task.assignment?.worker_id !== command.worker_id) return notYours();
      requeue(draft, 'released', { worker_id: command.worker_id, ...detail(command.reason) });
      return null;
    case 'start_timeout':
      if (task.assignment?.accepted_at !== command.accepted_at) return notDue();
      requeue(draft, 'start_timeout', { worker_id: task.assignment.worker_id });
      return null;
    case 'remove_worker': {
      if (task.assignment?.worker_id === command.worker_id) {
        requeue(draft, 'worker_gone', { worker_id: command.worker_id }, { keepAttempts: true });
        return null;
      }
      const offer = task.offers.find(
        (one) => one.worker_id === command.worker_id && one.status === 'pending',
      );
      if (offer === undefined) return notYours();
      endOffer(draft, offer, 'revoked', null, 'worker_gone');
      return null;
    }
    case 'remove_pool':
      task.offers = task.offers.map((offer) => settle(offer, 'revoked'));
      requeue(draft, 'pool_gone', { pool_id: poolOf(task) }, { keepAttempts: true });
      return null;
    case 'submit':
      if (task.assignment?.worker_id !== command.worker_id) return notYours();
      task.assignment = { ...task.assignment, submitted_at: by.now };
      task.submission = { ...command.submission, worker_id: command.worker_id, submitted_at: by.now };
      draft.move('submitted', { worker_id: command.worker_id });
      return null;
    case 'verify':
      if (task.input.output.review.mode !== 'auto') return illegal(task, command.name);
      draft.move('verified', { mode: 'auto' });
      return null;
    case 'approve':
      if (command.submitted_at !== undefined && command.submitted_at !== task.since) return notDue();
      review(draft, 'approve', command);
      draft.move('verified', { mode: 'manual', ...rated(command) });
      return null;
    case 'rework':
      review(draft, 'rework', command);
      rework(draft, command);
      return null;
    case 'reassign':
      review(draft, 'reassign', command);
      requeue(draft, 'reassigned', { ...detail(command.feedback), ...rated(command) });
      return null;
    case 'reject':
      review(draft, 'reject', command);
      fail(draft, 'rejected', command.feedback ?? 'A reviewer rejected the result.');
      return null;
    case 'complete':
      task.completed_at = by.now;
      draft.move('completed', { result: resultOf(task) });
      return null;
    case 'cancel':
      task.offers = task.offers.map((offer) => settle(offer, 'withdrawn'));
      task.cancellation = { reason: command.reason, cancelled_by: by.actor };
      draft.move('cancelled', { cancellation: task.cancellation });
      return null;
  }
}

/** The question of an SLA clock: is it due and not met? Then say so, and at the deadline give up what nobody took on. */
function ringClock(draft: Draft, clock: Clock): Refusal | null {
  const { task, by } = draft;
  const due = dueAt(task, clock);
  if (due === null || due > by.now || isFinal(task.status)) return notDue();
  const breached = breach(draft, clock);
  const gaveUp = clock === 'deadline' && target('deadline', task.status) !== null;
  if (gaveUp) fail(draft, 'deadline_exceeded', 'The deadline passed and nobody had accepted the task.');
  return breached || gaveUp ? null : notDue();
}

/** The question of a step: is it due while the task waits? Then less is asked from now on; nothing is told. */
function relax({ task, by }: Draft): Refusal | null {
  const step = stepsDue(task, by.now);
  if (task.status !== 'queued' || step <= task.step) return notDue();
  task.step = step;
  return null;
}

/** Flags `clock` as breached when it is due, not flagged yet and not met (by a submission that still stands). */
function breach(draft: Draft, clock: Clock, met = meetsClocks(draft.task.status)): boolean {
  const { task, by } = draft;
  const due = dueAt(task, clock);
  if (due === null || due > by.now || met || task.breaches.some((one) => one.clock === clock)) return false;
  task.breaches = [...task.breaches, { clock, due_at: due, breached_at: by.now }];
  draft.emit('task.sla_breached', task.status, {
    clock,
    due_at: timestamp(due),
    breached_at: timestamp(by.now),
  });
  return true;
}

/** Ends one pending offer; when no other is pending the task goes back to the queue. */
function endOffer(
  draft: Draft,
  offer: Offer,
  how: 'declined' | 'expired' | 'revoked',
  why: string | null,
  reason: string = how,
  retryAfterSeconds?: number,
): void {
  const { task, by } = draft;
  task.offers = task.offers.map((one) => (one === offer ? { ...one, status: how } : one));
  if (how !== 'revoked') {
    const coolDown =
      retryAfterSeconds === undefined
        ? Math.min(offer.expires_at - offer.offered_at, COOL_DOWN_MAX)
        : retryAfterSeconds * 1000;
    task.declines = [
      ...task.declines.filter((one) => one.worker_id !== offer.worker_id && isRemembered(one, by.now)),
      { worker_id: offer.worker_id, until: by.now + coolDown },
    ].slice(-DECLINES_KEPT);
  }
  if (task.offers.some((one) => one.status === 'pending')) return;
  requeue(draft, reason, { worker_id: offer.worker_id, offer_id: offer.offer_id, ...detail(why) });
}

/** Back to the queue, or to `failed` when the deadline has passed or accepted work came back too often. */
function requeue(
  draft: Draft,
  reason: string,
  data: Record<string, unknown>,
  { keepAttempts = false } = {},
): void {
  const { task, by } = draft;
  const wasAtWork = task.assignment !== null;
  task.submission = null;
  const deadline = dueAt(task, 'deadline');
  if (deadline !== null && deadline <= by.now) {
    for (const clock of CLOCKS) breach(draft, clock, false);
    fail(draft, 'deadline_exceeded', 'The deadline passed and nobody was at work.');
    return;
  }
  if (wasAtWork) {
    if (task.attempt >= maxAttempts(task) && !keepAttempts) {
      fail(draft, 'attempts_exhausted', `Given up after ${task.attempt} attempts.`);
      return;
    }
    task.attempt += 1;
    task.assignment = null;
  }
  task.step = stepsDue(task, by.now);
  draft.move('queued', { reason, ...data });
  for (const clock of CLOCKS) breach(draft, clock);
}

/** Keeps what a reviewer decided of the submission. */
function review({ task, by }: Draft, decision: Review['decision'], opinion: Opinion): void {
  const { feedback, rating = null } = opinion;
  const worker_id = task.submission?.worker_id ?? '';
  const given = { decision, feedback, rating, worker_id, reviewed_by: by.actor, reviewed_at: by.now };
  task.reviews = [...task.reviews, given];
}

function rework(draft: Draft, opinion: Opinion): void {
  const { task } = draft;
  if (task.attempt >= maxAttempts(task) || task.assignment === null) {
    fail(draft, 'attempts_exhausted', `Given up after ${task.attempt} attempts.`);
    return;
  }
  task.attempt += 1;
  task.submission = null;
  task.assignment = { ...task.assignment, submitted_at: null };
  draft.move('started', {
    worker_id: task.assignment.worker_id,
    reason: 'rework',
    ...detail(opinion.feedback),
    ...rated(opinion),
  });
  for (const clock of CLOCKS) breach(draft, clock);
}

function fail(draft: Draft, code: FailureCode, message: string): void {
  const { task } = draft;
  task.offers = task.offers.map((offer) => settle(offer, 'withdrawn'));
  task.failure = { code, message };
  draft.move('failed', { failure: task.failure });
}

function settle(offer: Offer, status: Offer['status']): Offer {
  return offer.status === 'pending' ? { ...offer, status } : offer;
}

function pendingOffer(task: Task, offerId: string, workerId: string): Offer | null {
  const found = task.offers.find((one) => one.offer_id === offerId && one.worker_id === workerId);
  return found?.status === 'pending' ? found : null;
}

function detail(why: string | null): { detail?: string } {
  return why === null ? {} : { detail: why };
}

function rated({ rating }: Opinion): { rating?: number } {
  return rating === undefined || rating === null ? {} : { rating };
}

function illegal(task: Task, command: CommandName): Refusal {
  const code =
    command === 'cancel'
      ? 'task_not_cancellable'
      : offerCommand(command)
        ? 'offer_not_pending'
        : 'invalid_transition';
  return { code, message: `A task that is ${task.status} does not allow ${command.replace('_', ' ')}.` };
}

function offerCommand(command: CommandName): boolean {
  return command === 'accept' || command === 'decline' || command === 'expire' || command === 'revoke';
}

function notPending(): Refusal {
  return { code: 'offer_not_pending', message: 'The offer is no longer pending.' };
}

function notYours(): Refusal {
  return { code: 'not_yours', message: 'The task is not assigned to this worker.' };
}

function notDue(): Refusal {
  return { code: 'not_due', message: 'There is nothing due.' };
}
