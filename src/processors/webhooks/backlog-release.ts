// Parks deliveries in the backlogs of receivers that are at their limit, and releases them as jobs when slots free up.
// Each receiver has a list in Redis; a parked delivery costs no work, however long its receiver hangs.
//
// The job of a released delivery is marked `from_backlog`, so that the process that runs it goes on releasing the next
// ones. If all processes die, the sweeper releases the first delivery of each backlog.

import { backlogJob } from '../../queues/new-jobs.ts';
import type { AddJobs } from '../../queues/queues.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Log } from '../../store/redis/log.ts';
import { parkDelivery, releaseBacklog } from '../../store/webhooks/backlog.ts';
import type { DeliveryTarget } from '../../store/webhooks/delivery-target.ts';
import type { ConcurrencyLimiter } from './receiver-limits.ts';

interface ReceiverBacklog {
  org_id: string;
  /** Deliveries released by this process whose jobs have not arrived here yet. */
  expected: number;
  isReleasing: boolean;
  timer: NodeJS.Timeout | null;
}

/** If a released delivery has not reached this process after this, assume that another process took its job. */
const ASSUME_TAKEN_AFTER_MS = 2000;

export class BacklogRelease {
  readonly #db: Db;
  readonly #jobs: AddJobs;
  readonly #limiter: ConcurrencyLimiter;
  readonly #log: Log;
  readonly #backlogs = new Map<string, ReceiverBacklog>();
  #isClosed = false;

  constructor(options: { db: Db; jobs: AddJobs; limiter: ConcurrencyLimiter; log: Log }) {
    this.#db = options.db;
    this.#jobs = options.jobs;
    this.#limiter = options.limiter;
    this.#log = options.log;
  }

  /** Whether this process knows of a backlog of the receiver. */
  has(receiver: string): boolean {
    return this.#backlogs.has(receiver);
  }

  /** Notes that the job of a released delivery arrived; the backlog may hold more. */
  arrived(orgId: string, receiver: string): void {
    const backlog = this.#backlogOf(orgId, receiver);
    backlog.expected = Math.max(0, backlog.expected - 1);
  }

  /** Parks a delivery. @param score the lease, as in `parkDelivery`. @returns false when it could not be parked. */
  async park(target: DeliveryTarget, receiver: string, score: number | null): Promise<boolean> {
    const wasParked = await parkDelivery(this.#db, target, receiver, score);
    if (!wasParked) return false;
    // The last slot may have been freed meanwhile; without this check nothing would release this delivery.
    this.#backlogOf(target.org_id, receiver);
    await this.releaseNext(receiver);
    return true;
  }

  /** Releases as many deliveries of the backlog as there are free slots, and never fewer than `atLeast`. */
  async releaseNext(receiver: string, atLeast = 0): Promise<void> {
    const backlog = this.#backlogs.get(receiver);
    if (backlog === undefined || backlog.isReleasing || this.#isClosed) return;
    const freeSlots = Math.max(atLeast, this.#limiter.freeSlots(receiver, backlog.expected));
    if (freeSlots === 0) return;
    backlog.isReleasing = true;
    try {
      const { released, remaining } = await releaseBacklog(this.#db, backlog.org_id, receiver, freeSlots);
      backlog.expected += released.length;
      if (remaining === 0) this.#forget(receiver, backlog);
      else this.#scheduleCheck(receiver, backlog);
      const now = this.#db.clock.now();
      if (released.length > 0) await this.#jobs.add(released.map((target) => backlogJob(target, now)));
    } catch (error) {
      // Deliveries that were released are due, so the sweeper recreates their jobs.
      this.#log.warn({ err: error }, 'releasing the backlog of a receiver failed, trying again later');
    } finally {
      backlog.isReleasing = false;
    }
  }

  /** Stops releasing deliveries. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#backlogs.values()) if (timer !== null) clearTimeout(timer);
    this.#backlogs.clear();
  }

  #backlogOf(orgId: string, receiver: string): ReceiverBacklog {
    const known = this.#backlogs.get(receiver);
    if (known !== undefined) return known;
    const backlog: ReceiverBacklog = { org_id: orgId, expected: 0, isReleasing: false, timer: null };
    if (this.#isClosed) return backlog;
    this.#backlogs.set(receiver, backlog);
    this.#scheduleCheck(receiver, backlog);
    return backlog;
  }

  /** Checks the backlog later, in case no attempt ends here: after the cool-down, or when other processes took the jobs. */
  #scheduleCheck(receiver: string, backlog: ReceiverBacklog): void {
    if (backlog.timer !== null || this.#isClosed) return;
    const wait = this.#limiter.coolDownMs(receiver) || ASSUME_TAKEN_AFTER_MS;
    backlog.timer = setTimeout(() => {
      backlog.timer = null;
      backlog.expected = 0;
      this.#scheduleCheck(receiver, backlog);
      // At least one, which finds out whether the receiver is back.
      void this.releaseNext(receiver, 1);
    }, wait);
    backlog.timer.unref();
  }

  #forget(receiver: string, backlog: ReceiverBacklog): void {
    if (backlog.timer !== null) clearTimeout(backlog.timer);
    backlog.timer = null;
    this.#backlogs.delete(receiver);
  }
}
