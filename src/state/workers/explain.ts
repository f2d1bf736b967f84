// Explains why a task is not matched: how many workers each requirement rules out, who comes closest, and how long it
// may take. Workers are considered in batches, so that memory does not grow with the org.

import { requirementsOf } from '../tasks/relaxation.ts';
import { NAMING, type Requirements, type Task } from '../tasks/task.ts';
import { meetsRequirements, takesUnpooled } from './matching.ts';
import { accuracyOf } from './track-record.ts';
import { isReady, type Worker } from './worker.ts';

/** A single requirement. */
export interface SingleRequirement {
  requirement:
    | 'worker_pool_id'
    | 'unpooled_tasks'
    | (typeof NAMING)[number]
    | 'skills'
    | 'certifications'
    | 'trust_level'
    | 'min_rating'
    | 'min_accuracy';
  wanted: string | number | boolean | string[];
}

export type MatchReason =
  /** A worker can be offered the task now. */
  | 'eligible'
  /** All workers who could take it have declined recently; they get another offer later. */
  | 'cooling_down'
  | 'at_capacity'
  | 'away'
  | 'nobody_qualifies'
  /** The task waits for its `not_before`. */
  | 'scheduled'
  /** The task is not queued. */
  | 'not_waiting';

export interface Miss {
  worker_id: string;
  availability: Worker['availability'];
  lacks: (SingleRequirement & { has?: number })[];
}

export interface Explanation {
  workers: { considered: number; qualified: number; available: number; eligible: number };
  requirements: (SingleRequirement & { rules_out: number })[];
  /** Qualified workers who cannot get an offer now, by reason. */
  unavailable: { offline: number; away: number; at_capacity: number; cooling_down: number };
  nearest_misses: Miss[];
  reason: Exclude<MatchReason, 'scheduled' | 'not_waiting'>;
  /** When the first cool-down ends, ms. */
  ask_again_at: number | null;
  /** Estimated tasks per second of the qualified and available workers; null when nothing is known of their speed. */
  throughput: number | null;
  /** Some of the qualified and available workers, to find other tasks that compete for them. */
  sample: Worker[];
}

const MISSES = 5;
const SAMPLE = 50;

/** The requirements one by one; a task without a pool requires `unpooled_tasks`. */
function singleRequirements(wanted: Requirements): SingleRequirement[] {
  const { worker_pool_id, skills = [], certifications = [], trust_level, min_rating, min_accuracy } = wanted;
  return [
    ...(worker_pool_id === undefined
      ? [{ requirement: 'unpooled_tasks' as const, wanted: true }]
      : [{ requirement: 'worker_pool_id' as const, wanted: worker_pool_id }]),
    ...NAMING.flatMap((requirement) => {
      const { [requirement]: ids = [] } = wanted;
      return ids.length === 0 ? [] : [{ requirement, wanted: ids }];
    }),
    ...[...new Set(skills)].map((one) => ({ requirement: 'skills' as const, wanted: one })),
    ...[...new Set(certifications)].map((one) => ({ requirement: 'certifications' as const, wanted: one })),
    ...(trust_level ? [{ requirement: 'trust_level' as const, wanted: trust_level }] : []),
    ...(min_rating ? [{ requirement: 'min_rating' as const, wanted: min_rating }] : []),
    ...(min_accuracy ? [{ requirement: 'min_accuracy' as const, wanted: min_accuracy }] : []),
  ];
}

/** What keeps a worker from a task: a requirement that they do not meet, or their present state. */
export interface Obstacle {
  reason: SingleRequirement['requirement'] | 'away' | 'offline' | 'at_capacity' | 'cooling_down';
  wanted?: SingleRequirement['wanted'];
  has?: number;
}

/** The workers who were assigned a task that another excludes. */
export type FormerWorkers = Pick<ReadonlySet<string>, 'has'>;

/**
 * What keeps the worker from getting the task now; empty when they are eligible. A slot that the task takes counts as
 * free. @param former of the tasks that it excludes
 */
export function obstaclesOf(worker: Worker, task: Task, former: FormerWorkers, now: number): Obstacle[] {
  const { availability, capacity, worker_id } = worker;
  const others = worker.reservations.filter((id) => id !== task.task_id);
  const isCoolingDown = task.declines.some((one) => one.worker_id === worker_id && one.until > now);
  return [
    ...singleRequirements(requirementsOf(task))
      .filter((single) => !meets(worker, single, former))
      .map((single): Obstacle => {
        const { requirement: reason, wanted } = single;
        return { reason, wanted, ...levelOf(worker, single) };
      }),
    ...(availability === 'available' ? [] : [{ reason: availability }]),
    ...(others.length >= capacity ? [{ reason: 'at_capacity' as const }] : []),
    ...(isCoolingDown ? [{ reason: 'cooling_down' as const }] : []),
  ];
}

export class Explainer {
  readonly #requirements: SingleRequirement[];
  readonly #ruledOut: number[];
  readonly #until: Map<string, number>;
  readonly #former: FormerWorkers;
  readonly #now: number;
  #considered = 0;
  #qualified = 0;
  #available = 0;
  #eligible = 0;
  readonly #unavailable = { offline: 0, away: 0, at_capacity: 0, cooling_down: 0 };
  #misses: Miss[] = [];
  readonly #sample: Worker[] = [];
  #askAgainAt: number | null = null;
  #capacity = 0;
  #knownCapacity = 0;
  #throughput = 0;

  /** @param former of the tasks that the task excludes. @param now ms. */
  constructor(task: Task, former: FormerWorkers, now: number) {
    this.#requirements = singleRequirements(requirementsOf(task));
    this.#ruledOut = this.#requirements.map(() => 0);
    this.#until = new Map(task.declines.map((one) => [one.worker_id, one.until]));
    this.#former = former;
    this.#now = now;
  }

  /** Adds a batch of the org's workers. */
  consider(workers: readonly Worker[]): void {
    for (const worker of workers) {
      this.#considered += 1;
      const lacks = this.#requirements.filter((single, index) => {
        const isMet = meets(worker, single, this.#former);
        if (!isMet) this.#ruledOut[index] = (this.#ruledOut[index] ?? 0) + 1;
        return !isMet;
      });
      if (lacks.length > 0) this.#addMiss(worker, lacks);
      else this.#addQualified(worker);
    }
  }

  result(): Explanation {
    const { offline, away, at_capacity, cooling_down } = this.#unavailable;
    const reason =
      this.#eligible > 0
        ? 'eligible'
        : cooling_down > 0
          ? 'cooling_down'
          : at_capacity > 0
            ? 'at_capacity'
            : away + offline > 0
              ? 'away'
              : 'nobody_qualifies';
    return {
      workers: {
        considered: this.#considered,
        qualified: this.#qualified,
        available: this.#available,
        eligible: this.#eligible,
      },
      // The client did not ask for `unpooled_tasks`: it is named where it rules out workers.
      requirements: this.#requirements
        .map((single, index) => ({ ...single, rules_out: this.#ruledOut[index] ?? 0 }))
        .filter(({ requirement, rules_out }) => requirement !== 'unpooled_tasks' || rules_out > 0),
      unavailable: { ...this.#unavailable },
      nearest_misses: this.#misses,
      reason,
      ask_again_at: this.#askAgainAt,
      // Workers without a completed task are assumed to be as fast as the others.
      throughput:
        this.#knownCapacity === 0 ? null : (this.#throughput * this.#capacity) / this.#knownCapacity,
      sample: this.#sample,
    };
  }

  #addMiss(worker: Worker, lacks: SingleRequirement[]): void {
    const last = this.#misses.at(-1);
    const candidate = {
      worker_id: worker.worker_id,
      availability: worker.availability,
      lacks: lacks.map((single) => ({ ...single, ...levelOf(worker, single) })),
    };
    if (this.#misses.length === MISSES && last !== undefined && nearer(last, candidate) <= 0) return;
    this.#misses = [...this.#misses, candidate].sort(nearer).slice(0, MISSES);
  }

  #addQualified(worker: Worker): void {
    this.#qualified += 1;
    const { availability } = worker;
    if (availability !== 'available') {
      this.#unavailable[availability] += 1;
      return;
    }
    this.#available += 1;
    this.#capacity += worker.capacity;
    const { task_ms } = worker.track;
    if (task_ms !== null) {
      this.#knownCapacity += worker.capacity;
      this.#throughput += (worker.capacity * 1000) / Math.max(1, task_ms);
    }
    if (this.#sample.length < SAMPLE) this.#sample.push(worker);
    const until = this.#until.get(worker.worker_id) ?? 0;
    if (!isReady(worker)) this.#unavailable.at_capacity += 1;
    else if (until > this.#now) {
      this.#unavailable.cooling_down += 1;
      this.#askAgainAt = Math.min(this.#askAgainAt ?? until, until);
    } else this.#eligible += 1;
  }
}

function meets(worker: Worker, single: SingleRequirement, former: FormerWorkers): boolean {
  switch (single.requirement) {
    case 'unpooled_tasks':
      return takesUnpooled(worker);
    case 'excluded_tasks':
      return !former.has(worker.worker_id);
    default:
      return meetsRequirements(worker, onlyThis(single));
  }
}

/** Requirements that hold only this one. */
function onlyThis({ requirement, wanted }: SingleRequirement): Requirements {
  const isList = requirement === 'skills' || requirement === 'certifications';
  return { [requirement]: isList ? [wanted] : wanted };
}

/** The worker's level, for a requirement of a level. */
function levelOf(worker: Worker, { requirement }: SingleRequirement): { has?: number } {
  if (requirement === 'trust_level') return { has: worker.trust_level };
  if (requirement === 'min_rating') return { has: worker.rating };
  if (requirement === 'min_accuracy') return { has: accuracyOf(worker.track).accuracy ?? 0 };
  return {};
}

/** Fewest unmet requirements first, then available workers, then by id. */
function nearer(a: Miss, b: Miss): number {
  return (
    a.lacks.length - b.lacks.length ||
    Number(b.availability === 'available') - Number(a.availability === 'available') ||
    (a.worker_id < b.worker_id ? -1 : 1)
  );
}
