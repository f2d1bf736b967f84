// Adds a job that should exist and does not. A lost job may have left its id behind, so the new one has another id.

import type { NewJob } from '../queues/catalogue.ts';
import { delayedUntil, type Queues } from '../queues/queues.ts';
import type { Db } from '../store/redis/connection.ts';

/** A delayed job due later than this was scheduled by a wrong clock and counts as missing, ms. */
const MAX_DELAY_MS = 60_000;

export class MissingJobs {
  readonly #db: Db;
  readonly #queues: Queues;
  /** Replacements that are being added, by their ids. */
  readonly #adding = new Map<string, Promise<boolean>>();
  /** Jobs added since the start. */
  added = 0;

  constructor(db: Db, queues: Queues) {
    this.#db = db;
    this.#queues = queues;
  }

  /**
   * Adds `replacement` unless it, or one of the jobs that it stands in for, is still to run.
   * @returns whether it was added
   */
  add(originals: readonly NewJob[], replacement: NewJob): Promise<boolean> {
    const { jobId } = replacement.opts;
    const adding = this.#adding.get(jobId) ?? this.#add(originals, replacement);
    this.#adding.set(jobId, adding);
    return adding.finally(() => this.#adding.delete(jobId));
  }

  async #add(originals: readonly NewJob[], replacement: NewJob): Promise<boolean> {
    for (const job of [...originals, replacement]) if (await this.#isScheduledSoon(job)) return false;
    await this.#queues.add([replacement]);
    this.added += 1;
    return true;
  }

  /** Whether the job exists and runs soon; one delayed by a wrong clock may wait for hours. */
  async #isScheduledSoon({ queue: name, data, opts }: NewJob): Promise<boolean> {
    const shard = this.#queues.shardOfJob(data);
    const queue = shard.all[name];
    // Asked first, because BullMQ looks for the state of an unknown job in every list, from end to end.
    if ((await shard.redis.exists(queue.toKey(opts.jobId))) === 0) return false;
    const state = await queue.getJobState(opts.jobId);
    if (state !== 'delayed') return state === 'waiting' || state === 'active' || state === 'prioritized';
    return ((await delayedUntil(shard, name, opts.jobId)) ?? 0) <= this.#db.clock.now() + MAX_DELAY_MS;
  }
}
