// What a worker is and how their load changes with the tasks they hold. A worker holds a place of their
// capacity for every pending offer and every task they are at work on; which tasks those are follows from
// the tasks alone, so a commit that changes a task changes exactly the workers whose hold changed.

import { isFinal } from '../tasks/lifecycle.ts';
import type { Task } from '../tasks/task.ts';
import { isSame } from '../text/same.ts';
import {
  LAPSES_TO_AWAY,
  ratingOf,
  type TrackRecord,
  withAnswer,
  withGivenRating,
  withRatings,
  withTask,
} from './track-record.ts';

export const AVAILABILITIES = ['available', 'away', 'offline'] as const;
export type Availability = (typeof AVAILABILITIES)[number];

export interface Worker {
  worker_id: string;
  org_id: string;
  version: number;
  /** Tells this worker from one of the same id before or after; absent in records that are older than the field. */
  incarnation?: string;
  name: string;
  pool_ids: string[];
  /** Absent: yes. Whether tasks that name no pool may go to them; a key that is confined to pools makes no such worker. */
  unpooled_tasks?: boolean;
  skills: string[];
  certifications: string[];
  trust_level: number;
  /** What `track` adds up to. */
  rating: number;
  track: TrackRecord;
  /** How many tasks at once. */
  capacity: number;
  availability: Availability;
  /** They finish what they hold and are offline then. */
  draining: boolean;
  /** Ids of the tasks that take up a place: offered, accepted or started. */
  reservations: string[];
  /** Since when they have waited for work, ms. */
  idle_since: number;
  created_at: number;
  updated_at: number;
}

export interface Pool {
  pool_id: string;
  org_id: string;
  version: number;
  /** As of a worker. */
  incarnation?: string;
  name: string;
  offer_mode: 'sequential' | 'broadcast';
  /** How many are asked at once in `broadcast`. */
  broadcast_size: number;
  /** Life of an offer; null means by the task's urgency. */
  offer_ttl_seconds: number | null;
  created_at: number;
  updated_at: number;
}

/** Whether the worker can be offered something now. */
export function isReady(worker: Worker): boolean {
  return worker.availability === 'available' && worker.reservations.length < worker.capacity;
}

/** The workers who hold a place for this task, with why. */
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

/** Workers whose hold on the task begins (`taken`) or ends (`freed`, with what it was) between two views of it. */
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

/** What a change of a task means for one worker. */
export interface Effect {
  /** A hold that begins, or ends. */
  taken?: 'offer' | 'work';
  freed?: 'offer' | 'work';
  /** How they answered an offer, or did not. */
  answered?: 'accepted' | 'declined' | 'expired';
  /** How long the work that ended took up a place, ms. */
  worked?: number;
  /** What reviews said of their work, 1–5. */
  ratings?: number[];
}

/** Everybody whom the change from one view of a task to the next concerns. */
export function effectsOf(before: Task | null, after: Task): Map<string, Effect> {
  const effects = new Map<string, Effect>();
  const add = (id: string, effect: Effect) => effects.set(id, { ...effects.get(id), ...effect });
  const { taken, freed } = holdChanges(before, after);
  for (const [id, hold] of taken) add(id, { taken: hold });
  for (const [id, hold] of freed) add(id, { freed: hold });
  const { assignment, status } = before ?? {};
  if (assignment && after.status === 'submitted' && status === 'started')
    add(assignment.worker_id, { worked: after.updated_at - assignment.accepted_at });
  const pending = (before?.offers ?? []).filter((one) => one.status === 'pending');
  for (const { offer_id, worker_id, status } of after.offers)
    if (
      (status === 'accepted' || status === 'declined' || status === 'expired') &&
      pending.some((one) => one.offer_id === offer_id)
    )
      add(worker_id, { answered: status });
  for (const { worker_id, rating } of after.reviews.slice(before?.reviews.length ?? 0))
    if (rating !== null) add(worker_id, { ratings: [...(effects.get(worker_id)?.ratings ?? []), rating] });
  return effects;
}

/**
 * The worker after a change of a task; null when they can take no more, be it an offer or rework. Rework comes back
 * to its worker even when they are away: it is theirs. Who lets one offer after the other lapse is taken to be away.
 */
export function affect(worker: Worker, taskId: string, effect: Effect, now: number): Worker | null {
  const { taken, freed, answered, worked, ratings } = effect;
  if (taken === 'offer' && (!isReady(worker) || worker.reservations.includes(taskId))) return null;
  if (taken === 'work' && worker.reservations.length >= worker.capacity) return null;
  const change: Partial<Worker> = {};
  if (taken !== undefined || freed !== undefined) {
    const others = worker.reservations.filter((id) => id !== taskId);
    change.reservations = taken === undefined ? others : [...others, taskId];
    if (worker.draining && change.reservations.length === 0) change.availability = 'offline';
    // Who declined, or whose offer was taken back, has waited on and keeps their place in line.
    if (freed === 'work' || answered === 'expired') change.idle_since = now;
  }
  if (answered !== undefined) {
    change.track = withAnswer(worker.track, answered);
    if (change.track.lapsed_in_a_row >= LAPSES_TO_AWAY && worker.availability === 'available')
      change.availability = 'away';
  }
  if (worked !== undefined) change.track = withTask(change.track ?? worker.track, worked);
  if (ratings !== undefined) {
    change.track = withRatings(change.track ?? worker.track, ratings);
    change.rating = ratingOf(change.track);
  }
  return next(worker, change, now);
}

/** What makes a worker finish what they hold and take nothing new: away now, offline when their hands are empty. */
export function drain(worker: Worker): Partial<Worker> {
  const atWork = worker.reservations.length > 0;
  return atWork ? { availability: 'away', draining: true } : { availability: 'offline' };
}

/**
 * Whether a change makes a worker another one. A rating given by hand always does: it begins their record anew, and a
 * word on their availability ends draining.
 */
export function changesWorker(worker: Worker, change: Partial<Worker>): boolean {
  if (change.rating !== undefined || (worker.draining && change.availability !== undefined)) return true;
  return (Object.keys(change) as (keyof Worker)[]).some((name) => !isSame(worker[name], change[name]));
}

/**
 * The worker with some fields changed, one version on. A word on their availability ends draining. Coming back to `available` starts a new wait; a rating
 * given without its record is one given by hand.
 */
export function next(worker: Worker, change: Partial<Worker>, now: number): Worker {
  const back = change.availability === 'available' && worker.availability !== 'available';
  const record = change.track ?? worker.track;
  const given = change.rating !== undefined && change.track === undefined;
  const draining = change.draining ?? (change.availability === undefined && worker.draining);
  const track = given ? withGivenRating(record, change.rating ?? 0) : record;
  return {
    ...worker,
    ...(back && { idle_since: now }),
    ...change,
    draining,
    track: back ? { ...track, lapsed_in_a_row: 0 } : track,
    version: worker.version + 1,
    updated_at: now,
  };
}
