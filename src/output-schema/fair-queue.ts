/*
 * Jobs of several owners who share threads. The owner whose jobs have taken the least time goes first, so that one
 * with many slow jobs waits for itself and not others for it.
 */

interface Owner<Job> {
  waiting: Job[];
  running: number;
  /** Time charged so far, ms; a new owner begins where those who wait stand now. */
  charged: number;
}

/** Every job costs at least so much, ms: thousands that take no time are work too. */
const LEAST_CHARGE = 0.2;

/** See the head of the file. */
export class FairQueue<Job extends { owner: string }> {
  readonly #owners = new Map<string, Owner<Job>>();
  #length = 0;
  /** What the owner had been charged who was last given a turn, ms. */
  #level = 0;

  /** Jobs that wait. */
  get length(): number {
    return this.#length;
  }

  /** How many jobs of the owner wait. */
  lengthOf(owner: string): number {
    return this.#owners.get(owner)?.waiting.length ?? 0;
  }

  /** Adds a job behind the others of its owner; @param isFirst before them. */
  add(job: Job, isFirst = false): void {
    const owner = this.#owners.get(job.owner) ?? { waiting: [], running: 0, charged: this.#level };
    this.#owners.set(job.owner, owner);
    if (isFirst) owner.waiting.unshift(job);
    else owner.waiting.push(job);
    this.#length += 1;
  }

  /**
   * Takes the job that is next; it counts as running until `end`.
   * @param most how many jobs of one owner may run at once. @returns undefined when no job may run now.
   */
  take(most: number): Job | undefined {
    let next: Owner<Job> | undefined;
    for (const owner of this.#owners.values())
      if (owner.waiting.length > 0 && owner.running < most)
        if (next === undefined || owner.charged < next.charged) next = owner;
    const job = next?.waiting.shift();
    if (next === undefined || job === undefined) return undefined;
    this.#level = Math.max(this.#level, next.charged);
    next.running += 1;
    this.#length -= 1;
    return job;
  }

  /** Charges the owner of a job that ran for `ms`. */
  end(job: Job, ms: number): void {
    const owner = this.#owners.get(job.owner);
    if (owner === undefined) return;
    owner.running -= 1;
    owner.charged += Math.max(ms, LEAST_CHARGE);
    this.#forget(job.owner, owner);
  }

  /** Takes out a job that waits. @returns whether it did. */
  remove(job: Job): boolean {
    const owner = this.#owners.get(job.owner);
    const index = owner?.waiting.indexOf(job) ?? -1;
    if (owner === undefined || index === -1) return false;
    owner.waiting.splice(index, 1);
    this.#length -= 1;
    this.#forget(job.owner, owner);
    return true;
  }

  /** Takes out all that wait. */
  clear(): Job[] {
    const all = [...this.#owners.values()].flatMap(({ waiting }) => waiting.splice(0));
    this.#length = 0;
    return all;
  }

  #forget(name: string, { waiting, running, charged }: Owner<Job>): void {
    // One that has been charged more than the others keeps that until they have caught up.
    if (waiting.length === 0 && running === 0 && charged <= this.#level) this.#owners.delete(name);
    if (this.#owners.size > OWNERS_KEPT)
      for (const [id, one] of this.#owners)
        if (one.waiting.length === 0 && one.running === 0) this.#owners.delete(id);
  }
}

/** Owners without jobs are forgotten beyond this. */
const OWNERS_KEPT = 1000;
