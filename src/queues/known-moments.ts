// The moments whose jobs this process has added. Each commit of a busy second would add the same job again, which costs
// Redis as much as a new one.

import type { NewJob } from './catalogue.ts';

/** Most moments that are remembered; when there are more, all are forgotten and their jobs may be added again. */
const MOST = 50_000;

export class KnownMoments {
  /** Id of the job → the moment, ms. */
  readonly #moments = new Map<string, number>();
  #now = 0;

  /** The jobs without those of moments that lie ahead and are known. The others of moments are known from now on. @param now ms */
  unknown(jobs: readonly NewJob[], now: number): NewJob[] {
    // The clock was set back: what ran already has to run again.
    if (now < this.#now) this.#moments.clear();
    this.#now = now;
    if (this.#moments.size > MOST) this.#prune();
    return jobs.filter(({ name, data, opts }) => {
      if (name !== 'moment') return true;
      const isKnown = (this.#moments.get(opts.jobId) ?? 0) > now;
      this.#moments.set(opts.jobId, data.at);
      return !isKnown;
    });
  }

  /** Forgets the moments of jobs that were not added. */
  forget(jobs: readonly NewJob[]): void {
    for (const { opts } of jobs) this.#moments.delete(opts.jobId);
  }

  #prune(): void {
    for (const [id, at] of this.#moments) if (at <= this.#now) this.#moments.delete(id);
    if (this.#moments.size > MOST) this.#moments.clear();
  }
}
