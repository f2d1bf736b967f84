// How many notices of one org, and of one worker, are sent at the same time in a process, so that receivers that do not
// answer leave room for the notices of others.

/** Share of the process that one org may use. */
const ORG_SHARE = 1 / 4;
/** Notices of one worker at the same time. */
const MAX_OF_WORKER = 3;

export class Shares {
  readonly #inUse = new Map<string, number>();
  readonly #ofOrg: number;

  /** @param concurrency notices at the same time in the process */
  constructor(concurrency: number) {
    this.#ofOrg = Math.max(1, Math.floor(concurrency * ORG_SHARE));
  }

  /** Takes a place for a notice, which must be returned with `release`. @returns false when there is none */
  tryTake(orgId: string, workerId: string): boolean {
    const worker = `${orgId} ${workerId}`;
    if (this.#count(orgId) >= this.#ofOrg || this.#count(worker) >= MAX_OF_WORKER) return false;
    for (const name of [orgId, worker]) this.#inUse.set(name, this.#count(name) + 1);
    return true;
  }

  release(orgId: string, workerId: string): void {
    for (const name of [orgId, `${orgId} ${workerId}`]) {
      const left = this.#count(name) - 1;
      if (left > 0) this.#inUse.set(name, left);
      else this.#inUse.delete(name);
    }
  }

  #count(name: string): number {
    return this.#inUse.get(name) ?? 0;
  }
}
