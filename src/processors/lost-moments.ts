// Repairs the moments of a partition whose jobs were lost: one job runs all checks that are overdue, and the moments of the next
// minute get their jobs again, so that their checks need not become overdue first.

import { momentJob } from '../queues/new-jobs.ts';
import type { Queues } from '../queues/queues.ts';
import { momentOf } from '../state/tasks/due-moment.ts';
import { SCHEDULED_AHEAD } from '../state/tasks/scheduled-checks.ts';
import type { Db } from '../store/redis/connection.ts';
import { momentsDue } from '../store/tasks/due-index.ts';
import type { MissingJobs } from './missing-jobs.ts';

export class LostMoments {
  readonly #db: Db;
  readonly #queues: Queues;
  readonly #missing: MissingJobs;
  /** Partition → when the moments of its next minute were added again, ms. */
  readonly #addedAgain = new Map<string, number>();

  constructor({ db, queues, missing }: { db: Db; queues: Queues; missing: MissingJobs }) {
    this.#db = db;
    this.#queues = queues;
    this.#missing = missing;
  }

  /**
   * Adds a job for everything in the partition that is overdue, unless one exists.
   * @param due when the check was due that should have run, ms. @param now ms, by Redis' clock. @param idSuffix of the job
   */
  async repair(partition: string, due: number, now: number, idSuffix: string): Promise<void> {
    const isLost = await this.#missing.add(
      [momentJob({ partition, at: momentOf(due, 0) }, now)],
      momentJob({ partition, at: Math.floor(now) }, now, idSuffix),
    );
    // Once a minute, because a check that runs late for another reason looks the same.
    const since = now - (this.#addedAgain.get(partition) ?? 0);
    if (!isLost || (since >= 0 && since < SCHEDULED_AHEAD)) return;
    this.#addedAgain.set(partition, now);
    const moments = await momentsDue(this.#db, partition, { from: now, until: now + SCHEDULED_AHEAD, now });
    await this.#queues.addAgain(moments.map((at) => momentJob({ partition, at }, now)));
  }
}
