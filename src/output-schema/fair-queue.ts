/*
 * A fair queue of jobs of several owners. The next job belongs to the owner whose jobs have taken the least time so far,
 * so that many slow jobs of one owner delay only that owner.
 */

interface Owner<Job> {
  waiting: Job[];
  running: number;
  /** Time that its jobs have used, ms; a new owner starts at the virtual time. */
  usedMs: number;
}

/** Minimum charge of a job, ms, because very short jobs also cost time. */
const MIN_CHARGE_MS = 0.2;

/** A queue with one line per owner; see the comment at the top. */
export class FairQueue<Job extends { owner: string }> {
  readonly #owners = new Map<string, Owner<Job>>();
  #length = 0;
  /**
   * Highest used time of an owner when one of their jobs was taken, ms. New owners start at this value, so they neither
   * jump the queue nor pay for the past.
   */
  #virtualTime = 0;

  /** Number of waiting jobs. */
  get length(): number {
    return this.#length;
  }

  /** Number of waiting jobs of an owner. */
  lengthOf(owner: string): number {
    return this.#owners.get(owner)?.waiting.length ?? 0;
  }

  /** Adds a job after the other jobs of its owner. @param isFirst before them. */
  add(job: Job, isFirst = false): void {
    const owner = this.#owners.get(job.owner) ?? { waiting: [], running: 0, usedMs: this.#virtualTime };
    this.#owners.set(job.owner, owner);
    if (isFirst) owner.waiting.unshift(job);
    else owner.waiting.push(job);
    this.#length += 1;
  }

  /**
   * Takes the next job, which counts as running until `end`.
   * @param most most jobs of one owner that may run at the same time. @returns undefined when no job may run now.
   */
  take(most: number): Job | undefined {
    let next: Owner<Job> | undefined;
    for (const owner of this.#owners.values())
      if (owner.waiting.length > 0 && owner.running < most)
        if (next === undefined || owner.usedMs < next.usedMs) next = owner;
    const job = next?.waiting.shift();
    if (next === undefined || job === undefined) return undefined;
    this.#virtualTime = Math.max(this.#virtualTime, next.usedMs);
    next.running += 1;
    this.#length -= 1;
    return job;
  }

  /** Charges the owner of a job that ran for `ms`. */
  end(job: Job, ms: number): void {
    const owner = this.#owners.get(job.owner);
    if (owner === undefined) return;
    owner.running -= 1;
    owner.usedMs += Math.max(ms, MIN_CHARGE_MS);
    this.#forget(job.owner, owner);
  }

  /** Removes a waiting job. @returns false when it is not waiting. */
  remove(job: Job): boolean {
    const owner = this.#owners.get(job.owner);
    const index = owner?.waiting.indexOf(job) ?? -1;
    if (owner === undefined || index === -1) return false;
    owner.waiting.splice(index, 1);
    this.#length -= 1;
    this.#forget(job.owner, owner);
    return true;
  }

  /** Removes and returns all waiting jobs. */
  clear(): Job[] {
    const all = [...this.#owners.values()].flatMap(({ waiting }) => waiting.splice(0));
    this.#length = 0;
    return all;
  }

  #forget(name: string, { waiting, running, usedMs }: Owner<Job>): void {
    // An owner that has used more keeps its entry, unless there are too many: without it the usage starts at 0 again.
    if (waiting.length === 0 && running === 0 && usedMs <= this.#virtualTime) this.#owners.delete(name);
    if (this.#owners.size > OWNERS_KEPT)
      for (const [id, one] of this.#owners)
        if (one.waiting.length === 0 && one.running === 0) this.#owners.delete(id);
  }
}

/** Beyond this number, owners without jobs are removed. */
const OWNERS_KEPT = 1000;
