// Those who wait for receivers that take no more right now, as one process deals with them: parked in Redis, in
// a list for each receiver, and let out as jobs as its places fall free. However many wait for a receiver that
// hangs, they cost nothing meanwhile.
//
// A process that lets somebody out says so in the job, so that whichever process makes the delivery goes on
// letting out the next. Should all of them die, the sweeper lets out the first of each list.

import { backlogJob } from '../../queues/catalogue.ts';
import type { Queues } from '../../queues/queues.ts';
import type { Db } from '../../store/redis/connection.ts';
import { parkDelivery, releaseBacklog } from '../../store/webhooks/backlog.ts';
import type { DeliveryTarget } from '../../store/webhooks/deliveries.ts';
import type { Log } from '../log.ts';
import type { ConcurrencyLimiter } from './concurrency-limiter.ts';

interface ReceiverBacklog {
  org_id: string;
  /** Let out, and not seen yet by this process. */
  coming: number;
  isLetting: boolean;
  timer: NodeJS.Timeout | null;
}

/** Whoever was let out and has not been seen after this was made by another process, ms. */
const LOOK_AGAIN = 2000;

export class BacklogRelease {
  readonly #db: Db;
  readonly #queues: Queues;
  readonly #gate: ConcurrencyLimiter;
  readonly #log: Log;
  readonly #backlogs = new Map<string, ReceiverBacklog>();
  #isClosed = false;

  constructor(options: { db: Db; queues: Queues; gate: ConcurrencyLimiter; log: Log }) {
    this.#db = options.db;
    this.#queues = options.queues;
    this.#gate = options.gate;
    this.#log = options.log;
  }

  /** Whether anybody is known to wait for the receiver. */
  has(receiver: string): boolean {
    return this.#backlogs.has(receiver);
  }

  /** Somebody who waited is here: there may be more. */
  arrived(orgId: string, receiver: string): void {
    const backlog = this.#backlogOf(orgId, receiver);
    backlog.coming = Math.max(0, backlog.coming - 1);
  }

  /** Lets a delivery wait; `score` as in `parkDelivery`. @returns false when it is not ours to park. */
  async park(owed: DeliveryTarget, receiver: string, score: number | null): Promise<boolean> {
    const isParked = await parkDelivery(this.#db, owed, receiver, score);
    if (!isParked) return false;
    // The last place may have fallen free meanwhile, and nobody would ever see to this one.
    this.#backlogOf(owed.org_id, receiver);
    await this.placeFree(receiver);
    return true;
  }

  /** Lets out as many as there are places for, if anybody waits; `atLeast` so many, places or not. */
  async placeFree(receiver: string, atLeast = 0): Promise<void> {
    const backlog = this.#backlogs.get(receiver);
    if (backlog === undefined || backlog.isLetting || this.#isClosed) return;
    const room = Math.max(atLeast, this.#gate.room(receiver, backlog.coming));
    if (room === 0) return;
    backlog.isLetting = true;
    try {
      const { out, left } = await releaseBacklog(this.#db, backlog.org_id, receiver, room);
      backlog.coming += out.length;
      if (left === 0) this.#forget(receiver, backlog);
      else this.#reauthorize(receiver, backlog);
      const now = this.#db.clock.now();
      if (out.length > 0) await this.#queues.add(out.map((owed) => backlogJob(owed, now)));
    } catch (error) {
      // Those who are out are due, which the sweeper sees to.
      this.#log.warn({ err: error }, 'those who wait for a receiver are let out later');
    } finally {
      backlog.isLetting = false;
    }
  }

  /** Lets nobody out any more. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#backlogs.values()) if (timer !== null) clearTimeout(timer);
    this.#backlogs.clear();
  }

  #backlogOf(orgId: string, receiver: string): ReceiverBacklog {
    const known = this.#backlogs.get(receiver);
    if (known !== undefined) return known;
    const backlog: ReceiverBacklog = { org_id: orgId, coming: 0, isLetting: false, timer: null };
    if (this.#isClosed) return backlog;
    this.#backlogs.set(receiver, backlog);
    this.#reauthorize(receiver, backlog);
    return backlog;
  }

  /** When nothing else makes it look: the receiver has cooled down, or others made what this process let out. */
  #reauthorize(receiver: string, backlog: ReceiverBacklog): void {
    if (backlog.timer !== null || this.#isClosed) return;
    const wait = this.#gate.coolFor(receiver) || LOOK_AGAIN;
    backlog.timer = setTimeout(() => {
      backlog.timer = null;
      backlog.coming = 0;
      this.#reauthorize(receiver, backlog);
      // One at least, who finds out whether the receiver is there at all any more.
      void this.placeFree(receiver, 1);
    }, wait);
    backlog.timer.unref();
  }

  #forget(receiver: string, backlog: ReceiverBacklog): void {
    if (backlog.timer !== null) clearTimeout(backlog.timer);
    backlog.timer = null;
    this.#backlogs.delete(receiver);
  }
}
