// Which worker may do a task, and which comes first. Tasks with the same requirements wait in one matching queue. It is
// ordered by urgency, deadline and age, which are written into the member itself so that Redis keeps it sorted.

import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { isRemembered } from '../tasks/cool-down.ts';
import { isExcluded } from '../tasks/exclusion.ts';
import { requirementsOf } from '../tasks/relaxation.ts';
import { type Requirements, startsAt, type Task, type Urgency } from '../tasks/task.ts';
import { accuracyOf } from './track-record.ts';
import { isReady, type Worker } from './worker.ts';

const OFFER_LIFE: Record<Urgency, number> = { critical: 30, high: 60, normal: 120, low: 300 };
const RANK: Record<Urgency, number> = { critical: 0, high: 1, normal: 2, low: 3 };
const NO_DEADLINE = '99999999999999';

/** Life of an offer in ms: the pool's when it has one, else by urgency. */
export function offerTtlMs(urgency: Urgency, poolSeconds: number | null): number {
  return (poolSeconds ?? OFFER_LIFE[urgency]) * 1000;
}

/** Whether the worker may take the task and meets its requirements, whether or not they are ready now. */
export function qualifies(worker: Worker, wanted: Requirements): boolean {
  return (wanted.worker_pool_id !== undefined || takesUnpooled(worker)) && meetsRequirements(worker, wanted);
}

/** Whether the worker takes tasks without a pool. A worker created by a key that cannot see such tasks does not. */
export function takesUnpooled(worker: Worker): boolean {
  return worker.unpooled_tasks !== false;
}

/** Whether the worker meets the requirements. */
export function meetsRequirements(worker: Worker, wanted: Requirements): boolean {
  return (
    (wanted.worker_pool_id === undefined || worker.pool_ids.includes(wanted.worker_pool_id)) &&
    (wanted.worker_ids === undefined || wanted.worker_ids.includes(worker.worker_id)) &&
    wanted.excluded_worker_ids?.includes(worker.worker_id) !== true &&
    (wanted.skills ?? []).every((skill) => worker.skills.includes(skill)) &&
    (wanted.certifications ?? []).every((one) => worker.certifications.includes(one)) &&
    worker.trust_level >= (wanted.trust_level ?? 0) &&
    worker.rating >= (wanted.min_rating ?? 0) &&
    // A worker without known answers has an accuracy of 0.
    (!wanted.min_accuracy || (accuracyOf(worker.track).accuracy ?? 0) >= wanted.min_accuracy)
  );
}

/**
 * Whether the task may be offered to the worker now: ready, qualified, and not in the cool-down of a decline. Without
 * `excluded_tasks`, which depend on other records.
 */
export function isEligible(worker: Worker, task: Task, now: number): boolean {
  return (
    isReady(worker) &&
    qualifies(worker, requirementsOf(task)) &&
    !task.declines.some((one) => one.worker_id === worker.worker_id && one.until > now)
  );
}

/** Whether the worker has a pending offer that a supervisor forced. */
function hasForcedOffer(task: Task, { worker_id }: Pick<Worker, 'worker_id'>): boolean {
  return task.offers.some((one) => one.worker_id === worker_id && one.status === 'pending' && one.forced);
}

/**
 * Whether the worker may accept a pending offer of the task: still available and still qualified, unless a supervisor
 * forced the offer, which passes over all but exclusions. Capacity is not checked, because the offer already takes a
 * slot, nor are `excluded_tasks`, which depend on other records.
 */
export function mayAccept(worker: Worker, task: Task): boolean {
  if (isExcluded(worker, task)) return false;
  if (hasForcedOffer(task, worker)) return true;
  return worker.availability === 'available' && qualifies(worker, requirementsOf(task));
}

/** Workers whose decline of the task still counts. */
export function recentlyDeclined(task: Task, now: number): Set<string> {
  return new Set(task.declines.filter((one) => isRemembered(one, now)).map((one) => one.worker_id));
}

/** Best first: no recent decline of this task, then longest idle, then rating, then id, so that ties are stable. */
export function rank(workers: readonly Worker[], task: Task, now: number): Worker[] {
  const declined = recentlyDeclined(task, now);
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
  /** The requirements without `worker_ids` as JSON in a fixed order, so that equal requirements give equal text. */
  text: string;
  /** The queue is indexed under these: a worker with none of them can skip it. */
  attributes: string[];
}

/** Most matching queues that are remembered. */
const MAX_REMEMBERED = 1000;
/** Longest requirements, as JSON, whose matching queue is remembered. */
const MAX_REMEMBERED_LENGTH = 1000;
/** Matching queues by the requirements as a task has them: most tasks of an org have those of others. */
const remembered = new LRUCache<string, MatchingQueue>({ max: MAX_REMEMBERED });

/** The matching queue that a task waits in. Exclusions are left to each task: most are of one task alone. */
export function matchingQueueOf(task: Task): Readonly<MatchingQueue> {
  const wanted = requirementsOf(task);
  const given = JSON.stringify(wanted);
  const known = remembered.get(given);
  if (known !== undefined) return known;
  const made = matchingQueueFor(wanted);
  if (given.length <= MAX_REMEMBERED_LENGTH) remembered.set(given, made);
  return made;
}

function matchingQueueFor(wanted: Requirements): MatchingQueue {
  const requirements: Requirements = {};
  if (wanted.skills?.length) requirements.skills = inOrder(wanted.skills);
  if (wanted.certifications?.length) requirements.certifications = inOrder(wanted.certifications);
  if (wanted.trust_level) requirements.trust_level = wanted.trust_level;
  if (wanted.min_rating) requirements.min_rating = wanted.min_rating;
  if (wanted.min_accuracy) requirements.min_accuracy = wanted.min_accuracy;
  if (wanted.worker_pool_id !== undefined) requirements.worker_pool_id = wanted.worker_pool_id;
  const text = JSON.stringify(requirements);
  const names = wanted.worker_ids === undefined ? null : inOrder(wanted.worker_ids);
  const id = hash('sha256', names === null ? text : text + names.join(), 'base64url').slice(0, 16);
  // The last attribute in the list is likely the rarest among workers.
  if (names === null)
    return { id, requirements, text, attributes: [attributesIn(requirements).at(-1) ?? UNPOOLED] };
  requirements.worker_ids = names;
  return { id, requirements, text, attributes: names.map((one) => NAMED + one) };
}

/** The attributes under which the matching queues of tasks for this worker are indexed. */
export function queueAttributes(worker: Worker): string[] {
  return [...workerAttributes(worker), NAMED + worker.worker_id];
}

/** The worker of whom an attribute is the name; null for another attribute. */
export function workerNamedBy(attribute: string): string | null {
  return attribute.startsWith(NAMED) ? attribute.slice(NAMED.length) : null;
}

function inOrder(names: string[]): string[] {
  const isSorted = names.every((name, index) => index === 0 || (names[index - 1] ?? '') < name);
  return isSorted ? names : [...new Set(names)].sort();
}

/**
 * Member of a matching queue as sortable text: urgency, deadline, then the task id, which begins with its age. The age of a
 * task with a `not_before` counts from its start, so its id is preceded by the beginning of an id from then.
 */
export function queueMember(task: Task): string {
  const { urgency, deadline } = task.input.sla;
  const due = deadline === undefined ? NO_DEADLINE : String(Date.parse(deadline)).padStart(14, '0');
  const start = startsAt(task);
  const hex = start.toString(16).padStart(12, '0');
  const age = start > task.created_at ? `${hex.slice(0, 8)}-${hex.slice(8)}:` : '';
  return `${RANK[urgency]}${due}:${age}${task.task_id}`;
}

/** The task id in a member that `queueMember` made. */
export function taskOfQueueMember(member: string): string {
  return member.slice(member.lastIndexOf(':') + 1);
}

/** Attribute of tasks without a pool, and of the workers who take them. */
const UNPOOLED = 'any';
/** Begins the attribute of tasks that name a worker. */
const NAMED = 'worker:';

/** Attributes under which a ready worker is indexed; the search uses the rarest one that a task requires. */
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
