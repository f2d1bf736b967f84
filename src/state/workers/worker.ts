// A worker, and how task changes affect them. Every pending offer and every accepted or started task takes one slot of
// the worker's capacity: a reservation. Reservations follow from the tasks alone, so a commit that changes a task also
// changes exactly the workers whose reservations changed.

import { agrees } from '../tasks/agreement.ts';
import { comparisonOf } from '../tasks/copies.ts';
import { finalRejection } from '../tasks/dispute-status.ts';
import { isFinal } from '../tasks/lifecycle.ts';
import type { Task } from '../tasks/task.ts';
import { isSame } from '../text/same.ts';
import {
  EXPIRED_OFFERS_TO_AWAY,
  isBeforeReset,
  ratingOf,
  type TrackRecord,
  withAnswer,
  withGivenRating,
  withKnownAnswer,
  withoutRating,
  withRatings,
  withTask,
} from './track-record.ts';

/** Most offers and tasks that a worker may have at the same time. */
export const MAX_CAPACITY = 1000;

export const AVAILABILITIES = ['available', 'away', 'offline'] as const;
type Availability = (typeof AVAILABILITIES)[number];

export interface Worker {
  worker_id: string;
  org_id: string;
  version: number;
  /** Distinguishes this worker from earlier or later ones with the same id; absent in records older than the field. */
  incarnation?: string;
  name: string;
  pool_ids: string[];
  /** Whether they take tasks without a pool; absent: yes. False for workers created by a key that is limited to pools. */
  unpooled_tasks?: boolean;
  skills: string[];
  certifications: string[];
  trust_level: number;
  /** Derived from `track`. */
  rating: number;
  track: TrackRecord;
  /** Most tasks at a time. */
  capacity: number;
  availability: Availability;
  /** They finish their tasks, then go offline. */
  draining: boolean;
  /** Ids of the tasks that take a slot: offered, accepted or started. */
  reservations: string[];
  /** When they last became idle, ms. */
  idle_since: number;
  created_at: number;
  updated_at: number;
}

export interface Pool {
  pool_id: string;
  org_id: string;
  version: number;
  /** As in a worker. */
  incarnation?: string;
  name: string;
  offer_mode: 'sequential' | 'broadcast';
  /** How many workers get an offer at once in `broadcast`. */
  broadcast_size: number;
  /** Life of an offer; null: by the task's urgency. */
  offer_ttl_seconds: number | null;
  created_at: number;
  updated_at: number;
}

/** Whether the worker can get an offer now. */
export function isReady(worker: Worker): boolean {
  return worker.availability === 'available' && worker.reservations.length < worker.capacity;
}

/** The workers with a reservation for this task, and its kind. */
export function holders(task: Task): Map<string, 'offer' | 'work'> {
  const found = new Map<string, 'offer' | 'work'>();
  if (isFinal(task.status)) return found;
  if (task.status === 'accepted' || task.status === 'started') {
    if (task.assignment !== null) found.set(task.assignment.worker_id, 'work');
    return found;
  }
  for (const offer of task.offers) if (offer.status === 'pending') found.set(offer.worker_id, 'offer');
  return found;
}

/** Reservations that begin (`taken`) or end (`freed`, with their former kind) between two versions of a task. */
export function holdChanges(
  before: Task | null,
  after: Task,
): { taken: Map<string, 'offer' | 'work'>; freed: Map<string, 'offer' | 'work'> } {
  const was = before === null ? new Map<string, 'offer' | 'work'>() : holders(before);
  const is = holders(after);
  return {
    taken: new Map([...is].filter(([id]) => !was.has(id))),
    freed: new Map([...was].filter(([id]) => !is.has(id))),
  };
}

/** The effect of a task change on one worker. */
export interface Effect {
  /** A reservation that begins, or ends. */
  reserves?: 'offer' | 'work';
  /** The offer that begins is forced: the worker may be away. */
  forced?: boolean;
  frees?: 'offer' | 'work';
  /** How an offer to them ended. */
  response?: 'accepted' | 'declined' | 'expired';
  /** Time from acceptance to submission of the work that ended, ms. */
  workedMs?: number;
  /** Review ratings of their work, 1–5. */
  ratings?: number[];
  /** The rating of a rejection that they dispute, which no longer counts, or `counts` again once it is upheld. */
  disputed?: { rating: number; reviewed_at: number; counts: boolean };
  /** Whether their verified answer is the known one. */
  isRight?: boolean;
}

/** The effects of a task change by worker id. */
export function effectsOf(before: Task | null, after: Task): Map<string, Effect> {
  const effects = new Map<string, Effect>();
  const add = (id: string, effect: Effect) => effects.set(id, { ...effects.get(id), ...effect });
  const { taken, freed } = holdChanges(before, after);
  const forced = new Set(after.offers.filter((one) => one.forced).map((one) => one.worker_id));
  for (const [id, kind] of taken) add(id, { reserves: kind, ...(forced.has(id) && { forced: true }) });
  for (const [id, kind] of freed) add(id, { frees: kind });
  const { assignment, status } = before ?? {};
  if (assignment && after.status === 'submitted' && status === 'started')
    add(assignment.worker_id, { workedMs: after.updated_at - assignment.accepted_at });
  const pending = (before?.offers ?? []).filter((one) => one.status === 'pending');
  for (const { offer_id, worker_id, status } of after.offers)
    if (
      (status === 'accepted' || status === 'declined' || status === 'expired') &&
      pending.some((one) => one.offer_id === offer_id)
    )
      add(worker_id, { response: status });
  for (const { worker_id, rating } of after.reviews.slice(before?.reviews.length ?? 0))
    if (rating !== null) add(worker_id, { ratings: [...(effects.get(worker_id)?.ratings ?? []), rating] });
  const rejection = before?.dispute?.status === after.dispute?.status ? null : finalRejection(after);
  if (rejection !== null && rejection.rating !== null && after.dispute?.status !== 'overturned') {
    const { worker_id, rating, reviewed_at } = rejection;
    add(worker_id, { disputed: { rating, reviewed_at, counts: after.dispute?.status === 'upheld' } });
  }
  const { gold } = after.input.output;
  // Of several answers, each is compared in its copy.
  if (gold !== undefined && after.copies === undefined && after.submission !== null && status === 'submitted')
    if (after.status === 'verified' || after.status === 'completed') {
      const { worker_id, output } = after.submission;
      add(worker_id, { isRight: agrees(output, gold.output, comparisonOf(after.input)) });
    }
  return effects;
}

/**
 * The worker after a task change; null when they have no free slot for an offer or rework. Rework returns to its worker
 * even when they are away. A worker who lets several offers expire in a row is set to `away`.
 */
export function applyEffect(worker: Worker, taskId: string, effect: Effect, now: number): Worker | null {
  const { reserves, frees, response, workedMs, ratings, disputed, isRight } = effect;
  // The rating has not counted since the reset.
  if (disputed !== undefined && isBeforeReset(worker.track, disputed.reviewed_at)) return worker;
  if (reserves === 'offer' && worker.reservations.includes(taskId)) return null;
  if (reserves === 'offer' && effect.forced !== true && !isReady(worker)) return null;
  if (reserves !== undefined && worker.reservations.length >= worker.capacity) return null;
  const change: Partial<Worker> = {};
  if (reserves !== undefined || frees !== undefined) {
    const others = worker.reservations.filter((id) => id !== taskId);
    change.reservations = reserves === undefined ? others : [...others, taskId];
    if (worker.draining && change.reservations.length === 0) change.availability = 'offline';
    // A worker who declined, or whose offer was revoked, keeps their rank by idle time.
    if (frees === 'work' || response === 'expired') change.idle_since = now;
  }
  if (response !== undefined) {
    change.track = withAnswer(worker.track, response);
    if (change.track.expired_in_a_row >= EXPIRED_OFFERS_TO_AWAY && worker.availability === 'available')
      change.availability = 'away';
  }
  if (workedMs !== undefined) change.track = withTask(change.track ?? worker.track, workedMs);
  if (ratings !== undefined) {
    change.track = withRatings(change.track ?? worker.track, ratings);
    change.rating = ratingOf(change.track);
  }
  if (disputed !== undefined) {
    const { rating, counts } = disputed;
    change.track = counts ? withRatings(worker.track, [rating]) : withoutRating(worker.track, rating);
    change.rating = ratingOf(change.track);
  }
  if (isRight !== undefined) change.track = withKnownAnswer(change.track ?? worker.track, isRight);
  return next(worker, change, now);
}

/** The change that drains a worker: away until their tasks are finished, then offline. */
export function drain(worker: Worker): Partial<Worker> {
  const atWork = worker.reservations.length > 0;
  return atWork ? { availability: 'away', draining: true } : { availability: 'offline' };
}

/**
 * Whether a change has an effect on the worker. Setting a rating always has: it restarts the track record. So has setting
 * the availability of a draining worker: it ends draining.
 */
export function changesWorker(worker: Worker, change: Partial<Worker>): boolean {
  if (change.rating !== undefined || (worker.draining && change.availability !== undefined)) return true;
  return (Object.keys(change) as (keyof Worker)[]).some((name) => !isSame(worker[name], change[name]));
}

/**
 * The next version of the worker with some fields changed. Setting the availability ends draining. Becoming `available`
 * restarts the idle time. A rating without a track record was set through the API and restarts the record.
 */
export function next(worker: Worker, change: Partial<Worker>, now: number): Worker {
  const back = change.availability === 'available' && worker.availability !== 'available';
  const record = change.track ?? worker.track;
  const given = change.rating !== undefined && change.track === undefined;
  const draining = change.draining ?? (change.availability === undefined && worker.draining);
  const track = given ? withGivenRating(record, change.rating ?? 0, now) : record;
  return {
    ...worker,
    ...(back && { idle_since: now }),
    ...change,
    draining,
    track: back ? { ...track, expired_in_a_row: 0 } : track,
    version: worker.version + 1,
    updated_at: now,
  };
}
