// Those who wait for receivers that take no more right now, as one process deals with them: parked in Redis, in
// a list for each receiver, and let out as jobs as its places fall free. However many wait for a receiver that
// hangs, they cost nothing meanwhile.
//
// A process that lets somebody out says so in the job, so that whichever process makes the delivery goes on
// letting out the next. Should all of them die, the sweeper lets out the first of each list.

import { fedJob } from '../../queues/catalogue.ts';
import type { Queues } from '../../queues/queues.ts';
import type { Db } from '../../store/redis/connection.ts';
import { letOut, parkDelivery } from '../../store/webhooks/backlog.ts';
import type { Owed } from '../../store/webhooks/deliveries.ts';
import type { Log } from '../log.ts';
import type { ReceiverGate } from './concurrency-limiter.ts';

interface Crowd {
  org_id: string;
  /** Let out, and not seen yet by this process. */
  coming: number;
  isLetting: boolean;
  timer: NodeJS.Timeout | null;
}

/** Whoever was let out and has not been seen after this was made by another process, ms. */
const LOOK_AGAIN = 2000;

export class Crowds {
  readonly #db: Db;
  readonly #queues: Queues;
  readonly #gate: ReceiverGate;
  readonly #log: Log;
  readonly #crowds = new Map<string, Crowd>();
  #isClosed = false;

  constructor(options: { db: Db; queues: Queues; gate: ReceiverGate; log: Log }) {
    this.#db = options.db;
    this.#queues = options.queues;
    this.#gate = options.gate;
    this.#log = options.log;
  }

  /** Whether anybody is known to wait for the receiver. */
  has(receiver: string): boolean {
    return this.#crowds.has(receiver);
  }

  /** Somebody who waited is here: there may be more. */
  arrived(orgId: string, receiver: string): void {
    const crowd = this.#crowdOf(orgId, receiver);
    crowd.coming = Math.max(0, crowd.coming - 1);
  }

  /** Lets a delivery wait; `score` as in `parkDelivery`. @returns false when it is not ours to park. */
  async park(owed: Owed, receiver: string, score: number | null): Promise<boolean> {
    const isParked = await parkDelivery(this.#db, owed, receiver, score);
    if (!isParked) return false;
    // The last place may have fallen free meanwhile, and nobody would ever see to this one.
    this.#crowdOf(owed.org_id, receiver);
    await this.placeFree(receiver);
    return true;
  }

  /** Lets out as many as there are places for, if anybody waits; `atLeast` so many, places or not. */
  async placeFree(receiver: string, atLeast = 0): Promise<void> {
    const crowd = this.#crowds.get(receiver);
    if (crowd === undefined || crowd.isLetting || this.#isClosed) return;
    const room = Math.max(atLeast, this.#gate.room(receiver, crowd.coming));
    if (room === 0) return;
    crowd.isLetting = true;
    try {
      const { out, left } = await letOut(this.#db, crowd.org_id, receiver, room);
      crowd.coming += out.length;
      if (left === 0) this.#forget(receiver, crowd);
      else this.#lookAgain(receiver, crowd);
      const now = this.#db.clock.now();
      if (out.length > 0) await this.#queues.add(out.map((owed) => fedJob(owed, now)));
    } catch (error) {
      // Those who are out are due, which the sweeper sees to.
      this.#log.warn({ err: error }, 'those who wait for a receiver are let out later');
    } finally {
      crowd.isLetting = false;
    }
  }

  /** Lets nobody out any more. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#crowds.values()) if (timer !== null) clearTimeout(timer);
    this.#crowds.clear();
  }

  #crowdOf(orgId: string, receiver: string): Crowd {
    const known = this.#crowds.get(receiver);
    if (known !== undefined) return known;
    const crowd: Crowd = { org_id: orgId, coming: 0, isLetting: false, timer: null };
    if (this.#isClosed) return crowd;
    this.#crowds.set(receiver, crowd);
    this.#lookAgain(receiver, crowd);
    return crowd;
  }

  /** When nothing else makes it look: the receiver has cooled down, or others made what this process let out. */
  #lookAgain(receiver: string, crowd: Crowd): void {
    if (crowd.timer !== null || this.#isClosed) return;
    const wait = this.#gate.coolFor(receiver) || LOOK_AGAIN;
    crowd.timer = setTimeout(() => {
      crowd.timer = null;
      crowd.coming = 0;
      this.#lookAgain(receiver, crowd);
      // One at least, who finds out whether the receiver is there at all any more.
      void this.placeFree(receiver, 1);
    }, wait);
    crowd.timer.unref();
  }

  #forget(receiver: string, crowd: Crowd): void {
    if (crowd.timer !== null) clearTimeout(crowd.timer);
    crowd.timer = null;
    this.#crowds.delete(receiver);
  }
}
