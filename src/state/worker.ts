// What a worker is and how their load changes with the tasks they hold. A worker holds a place of their
// capacity for every pending offer and every task they are at work on; which tasks those are follows from
// the tasks alone, so a commit that changes a task changes exactly the workers whose hold changed.

import { isFinal } from './lifecycle.ts';
import type { Task } from './task.ts';

export const AVAILABILITIES = ['available', 'away', 'offline'] as const;
export type Availability = (typeof AVAILABILITIES)[number];

export interface Worker {
  worker_id: string;
  org_id: string;
  version: number;
  name: string;
  pool_ids: string[];
  skills: string[];
  certifications: string[];
  trust_level: number;
  rating: number;
  /** How many tasks at once. */
  capacity: number;
  availability: Availability;
  /** Ids of the tasks that take up a place: offered, accepted or started. */
  holding: string[];
  /** Since when they have waited for work, ms. */
  idle_since: number;
  created_at: number;
  updated_at: number;
}

export interface Pool {
  pool_id: string;
  org_id: string;
  version: number;
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
  return worker.availability === 'available' && worker.holding.length < worker.capacity;
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

/**
 * The worker with a place taken for the task; null when they can take no more. Rework comes back to its
 * worker even when they are full or away: it is theirs.
 */
export function take(worker: Worker, taskId: string, hold: 'offer' | 'work', now: number): Worker | null {
  if (hold === 'offer' && (!isReady(worker) || worker.holding.includes(taskId))) return null;
  return next(worker, { holding: [...worker.holding.filter((id) => id !== taskId), taskId] }, now);
}

/** The worker with the place of the task freed. `rested` says that they waited on: they keep their place in line. */
export function free(worker: Worker, taskId: string, rested: boolean, now: number): Worker {
  return next(
    worker,
    { holding: worker.holding.filter((id) => id !== taskId), ...(!rested && { idle_since: now }) },
    now,
  );
}

/** The worker with some fields changed, one version on. Coming back to `available` starts a new wait. */
export function next(worker: Worker, change: Partial<Worker>, now: number): Worker {
  const back = change.availability === 'available' && worker.availability !== 'available';
  return {
    ...worker,
    ...(back && { idle_since: now }),
    ...change,
    version: worker.version + 1,
    updated_at: now,
  };
}
