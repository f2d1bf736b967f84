// Who may do a task, and who goes first. Tasks with the same requirements wait in one lane; a lane is in
// order of urgency, deadline and age, written into the member itself so that Redis keeps it sorted.

import { hash } from 'node:crypto';
import { isRemembered, type Requirements, requirementsOf, type Task, type Urgency } from '../tasks/task.ts';
import { isReady, type Worker } from './worker.ts';

const OFFER_LIFE: Record<Urgency, number> = { critical: 30, high: 60, normal: 120, low: 300 };
const START_TIME: Record<Urgency, number> = { critical: 120, high: 300, normal: 900, low: 3600 };
const RANK: Record<Urgency, number> = { critical: 0, high: 1, normal: 2, low: 3 };
const NO_DEADLINE = '99999999999999';

/** Life of an offer in ms: by the pool when it says so, else by urgency. */
export function offerLife(urgency: Urgency, poolSeconds: number | null): number {
  return (poolSeconds ?? OFFER_LIFE[urgency]) * 1000;
}

/** How long after accepting a worker may take to start, in ms. */
export function startTime(urgency: Urgency): number {
  return START_TIME[urgency] * 1000;
}

/** Whether the worker may have the task and brings what it asks, apart from being ready. */
export function qualifies(worker: Worker, wanted: Requirements): boolean {
  return (wanted.worker_pool_id !== undefined || takesUnpooled(worker)) && brings(worker, wanted);
}

/** Whether tasks that name no pool may go to the worker: not where a key made them that may not see such tasks. */
export function takesUnpooled(worker: Worker): boolean {
  return worker.unpooled_tasks !== false;
}

/** Whether the worker brings what is asked, whatever else is. */
export function brings(worker: Worker, wanted: Requirements): boolean {
  return (
    (wanted.worker_pool_id === undefined || worker.pool_ids.includes(wanted.worker_pool_id)) &&
    (wanted.skills ?? []).every((skill) => worker.skills.includes(skill)) &&
    (wanted.certifications ?? []).every((one) => worker.certifications.includes(one)) &&
    worker.trust_level >= (wanted.trust_level ?? 0) &&
    worker.rating >= (wanted.min_rating ?? 0)
  );
}

/** Whether the task may be offered to the worker now: ready, qualified, and not within the cool-down of a "no". */
export function isEligible(worker: Worker, task: Task, now: number): boolean {
  return (
    isReady(worker) &&
    qualifies(worker, requirementsOf(task)) &&
    !task.declines.some((one) => one.worker_id === worker.worker_id && one.until > now)
  );
}

/**
 * Whether the worker may accept an offer of the task that is out: there, and qualified still. Being full is no
 * reason against it, for the offer is among what fills them.
 */
export function mayAccept(worker: Worker, task: Task): boolean {
  return worker.availability === 'available' && qualifies(worker, requirementsOf(task));
}

/** Workers whose "no" to the task still counts. */
export function decliners(task: Task, now: number): Set<string> {
  return new Set(task.declines.filter((one) => isRemembered(one, now)).map((one) => one.worker_id));
}

/** Best first: who has not declined this task lately, then longest idle, then rating, then id so that ties are stable. */
export function rank(workers: readonly Worker[], task: Task, now: number): Worker[] {
  const declined = decliners(task, now);
  return [...workers].sort(
    (a, b) =>
      Number(declined.has(a.worker_id)) - Number(declined.has(b.worker_id)) ||
      a.idle_since - b.idle_since ||
      b.rating - a.rating ||
      (a.worker_id < b.worker_id ? -1 : 1),
  );
}

export interface MatchingQueue {
  /** Short name, the same for the same requirements. */
  id: string;
  requirements: Requirements;
  /** The requirements as JSON, the same for the same. */
  text: string;
  /** One of the attributes its tasks ask for: who lacks it need not look here. */
  attribute: string;
}

/** The lane a task waits in. */
export function matchingQueueOf(task: Task): MatchingQueue {
  const wanted = requirementsOf(task);
  const requirements: Requirements = {};
  if (wanted.skills?.length) requirements.skills = inOrder(wanted.skills);
  if (wanted.certifications?.length) requirements.certifications = inOrder(wanted.certifications);
  if (wanted.trust_level) requirements.trust_level = wanted.trust_level;
  if (wanted.min_rating) requirements.min_rating = wanted.min_rating;
  if (wanted.worker_pool_id !== undefined) requirements.worker_pool_id = wanted.worker_pool_id;
  const text = JSON.stringify(requirements);
  const id = hash('sha256', text, 'base64url').slice(0, 16);
  // What most workers are likely to lack comes last in the list of attributes.
  return { id, requirements, text, attribute: attributesIn(requirements).at(-1) ?? UNPOOLED };
}

function inOrder(names: string[]): string[] {
  const areSo = names.every((name, index) => index === 0 || (names[index - 1] ?? '') < name);
  return areSo ? names : [...new Set(names)].sort();
}

/** Place in a lane as text that sorts: urgency, deadline, then the task id, whose first part is its age. */
export function queueMember(task: Task): string {
  const { urgency, deadline } = task.input.sla;
  const due = deadline === undefined ? NO_DEADLINE : String(Date.parse(deadline)).padStart(14, '0');
  return `${RANK[urgency]}${due}:${task.task_id}`;
}

/** The task id in a place that `queueMember` made. */
export function taskInPlace(place: string): string {
  return place.slice(place.indexOf(':') + 1);
}

/** Attribute of those who take tasks that name no pool, and of these tasks. */
const UNPOOLED = 'any';

/** Attributes under which a ready worker can be found; the rarest that a task asks for is searched. */
export function workerAttributes(worker: Worker): string[] {
  const named = attributes(worker.pool_ids, worker.skills, worker.certifications);
  return takesUnpooled(worker) ? [UNPOOLED, ...named] : named;
}

/** Attributes that a qualified worker must have; never empty. */
export function wantedAttributes(task: Task): string[] {
  const wanted = requirementsOf(task);
  return wanted.worker_pool_id === undefined ? [UNPOOLED, ...attributesIn(wanted)] : attributesIn(wanted);
}

function attributesIn({ worker_pool_id: pool, skills = [], certifications = [] }: Requirements): string[] {
  return attributes(pool === undefined ? [] : [pool], skills, certifications);
}

function attributes(pools: string[], skills: string[], certifications: string[]): string[] {
  return [
    ...pools.map((id) => `pool:${id}`),
    ...skills.map((skill) => `skill:${skill}`),
    ...certifications.map((one) => `cert:${one}`),
  ];
}
