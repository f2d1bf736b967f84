// Concurrency limiter with a circuit breaker for each receiver, so that one bad receiver does not harm the others.
// A receiver that is overloaded (429, 502, 503, 504) or does not respond cools down: first attempts wait, without
// spending an attempt, until one delivery succeeds. A receiver gets a bounded share of the slots of a worker process, a
// slow one a smaller share.
//
// A due retry passes during a cool-down: its backoff has spaced it out already, and it finds out whether the receiver is
// back. The state is kept in memory, by each process for itself.

import type { SendOutcome } from './outcome.ts';

interface ReceiverState {
  inFlight: number;
  /** Failures since the last response that shows the receiver works. */
  failures: number;
  coolUntil: number;
  /** Moving average of the duration of an attempt, ms. */
  meanMs: number;
  /** Consecutive attempts with a response, whatever its status. */
  answers: number;
  /** When an attempt ended last, or the first of those in flight began. */
  movedAt: number;
  /** Callers that wait in `acquireSoon` for a slot, in first-in, first-out order. */
  waiters: ((isGranted: boolean) => void)[];
}

const SECOND = 1000;
const OVERLOADED: readonly (number | null)[] = [429, 502, 503, 504];
/** Consecutive failures without a response after which a receiver cools down. */
const FAILURES_TO_COOL = 5;
const LONGEST_COOL = 60 * SECOND;
const SLOW = 2 * SECOND;
/** Most concurrent attempts to one receiver; a receiver that has proved quick gets twice as many. */
const MOST = 64;
/** Consecutive responses after which a receiver counts as quick. */
const SHOWN = 50;
/** A caller waits for a slot only if it is likely to free up within this, ms, and never longer than twice that. */
const SHORTLY = 100;
const REMEMBERED = 10_000;

export class ConcurrencyLimiter {
  readonly #states = new Map<string, ReceiverState>();
  readonly #quickCap: number;
  readonly #cap: number;
  readonly #slowCap: number;
  readonly #now: () => number;

  /** @param concurrency concurrent deliveries of the process. @param now a monotonic clock, ms. */
  constructor(concurrency: number, now: () => number = () => performance.now()) {
    // A quick receiver frees its slots before another receiver has to wait for one.
    this.#quickCap = Math.max(1, Math.min(2 * MOST, Math.floor(concurrency * 0.65)));
    this.#cap = Math.max(1, Math.min(MOST, Math.floor(concurrency * 0.4)));
    this.#slowCap = Math.max(1, Math.floor(concurrency / 8));
    this.#now = now;
  }

  /**
   * Takes a slot of the receiver, if one is free; it must be returned with `release`.
   * @param isFresh whether this is the delivery's first attempt.
   * @param hasOthers whether the receiver has a backlog; half of the slots are reserved for it then.
   */
  tryAcquire(receiver: string, isFresh: boolean, hasOthers = false): boolean {
    const now = this.#now();
    const state = this.#states.get(receiver) ?? this.#add(receiver, now);
    if (isFresh && state.coolUntil > now) return false;
    const cap = this.#capOf(state, isFresh);
    if (state.inFlight >= (hasOthers ? Math.ceil(cap / 2) : cap)) return false;
    if (state.inFlight === 0) state.movedAt = now;
    state.inFlight += 1;
    return true;
  }

  /** As `tryAcquire`, but waits briefly when a slot is about to free up. */
  async acquireSoon(receiver: string, isFresh: boolean, hasOthers = false): Promise<boolean> {
    if (this.tryAcquire(receiver, isFresh, hasOthers)) return true;
    const state = this.#states.get(receiver);
    if (state === undefined || state.coolUntil > 0 || (hasOthers && !this.#isQuick(state))) return false;
    const { waiters, meanMs } = state;
    if (!this.#isMoving(state) || ((waiters.length + 1) * meanMs) / this.#capOf(state, isFresh) > SHORTLY)
      return false;
    return await new Promise<boolean>((resolve) => {
      const settle = (isGranted: boolean) => {
        clearTimeout(timer);
        resolve(isGranted);
      };
      const timer = setTimeout(() => {
        waiters.splice(waiters.indexOf(settle), 1);
        resolve(false);
      }, 2 * SHORTLY);
      waiters.push(settle);
    });
  }

  /** Returns a slot. @param outcome result of the attempt; null when nothing was sent. */
  release(receiver: string, outcome: Pick<SendOutcome, 'status' | 'ms' | 'retryAfterMs'> | null): void {
    const state = this.#states.get(receiver);
    if (state === undefined) return;
    const now = this.#now();
    state.inFlight -= 1;
    state.movedAt = now;
    if (outcome !== null) {
      state.meanMs += (outcome.ms - state.meanMs) * 0.2;
      state.answers = outcome.status === null ? 0 : state.answers + 1;
      this.#judge(state, outcome, now);
    }
    const [first] = state.waiters;
    if (first === undefined) return;
    if (state.coolUntil > now) {
      for (const one of state.waiters.splice(0)) one(false);
    } else if (state.inFlight < this.#capOf(state, true)) {
      state.waiters.shift();
      state.inFlight += 1;
      first(true);
    }
  }

  /** Whether a first attempt would get no slot, neither now nor soon. */
  isSaturated(receiver: string): boolean {
    const state = this.#states.get(receiver);
    if (state === undefined) return false;
    const now = this.#now();
    if (state.coolUntil > now) return true;
    return state.inFlight >= this.#capOf(state, true) && !this.#isMoving(state);
  }

  /** Time until the cool-down of a receiver ends, ms; 0 without one. */
  coolDownMs(receiver: string): number {
    return Math.max(0, (this.#states.get(receiver)?.coolUntil ?? 0) - this.#now());
  }

  /**
   * Number of deliveries of the backlog that may be released.
   * @param expected released deliveries that have not arrived yet. @returns 0 also when the batch would be too small.
   */
  freeSlots(receiver: string, expected: number): number {
    const state = this.#states.get(receiver) ?? this.#add(receiver, this.#now());
    if (state.coolUntil > this.#now()) return 0;
    const cap = this.#capOf(state, true);
    // With a quick receiver they share the slots with first attempts, which would cost more to park and release.
    if (state.inFlight > 0 && this.#isQuick(state)) {
      const share = Math.ceil(cap / 2) - expected;
      return share >= cap / 4 ? share : 0;
    }
    const used = state.inFlight + state.waiters.length + expected;
    return used === 0 || cap - used >= cap / 4 ? Math.max(0, cap - used) : 0;
  }

  #isMoving({ movedAt }: ReceiverState): boolean {
    return this.#now() - movedAt < SHORTLY;
  }

  /** Whether the slots of the receiver free up fast enough to wait for one. */
  #isQuick(state: ReceiverState): boolean {
    return state.coolUntil === 0 && state.meanMs <= SHORTLY && this.#isMoving(state);
  }

  #capOf(state: ReceiverState, isFresh: boolean): number {
    // After a cool-down, one attempt at a time probes whether the receiver is back.
    if (isFresh && state.coolUntil > 0) return 1;
    const isStuck = state.inFlight > 0 && this.#now() - state.movedAt > SLOW;
    if (isStuck || state.meanMs > SLOW) return this.#slowCap;
    return state.answers >= SHOWN && this.#isQuick(state) ? this.#quickCap : this.#cap;
  }

  #judge(
    state: ReceiverState,
    { status, retryAfterMs }: Pick<SendOutcome, 'status' | 'retryAfterMs'>,
    now: number,
  ): void {
    const isOverloaded = OVERLOADED.includes(status);
    if (!isOverloaded && status !== null) {
      state.failures = 0;
      state.coolUntil = 0;
      return;
    }
    state.failures += 1;
    const rounds = isOverloaded ? state.failures : state.failures - FAILURES_TO_COOL + 1;
    if (rounds < 1) return;
    const backoff = Math.min(SECOND * 2 ** Math.min(rounds - 1, 10), LONGEST_COOL);
    const asked = isOverloaded ? (retryAfterMs ?? 0) : 0;
    state.coolUntil = Math.max(state.coolUntil, now + Math.max(backoff, asked));
  }

  #add(receiver: string, now: number): ReceiverState {
    if (this.#states.size >= REMEMBERED)
      for (const [name, one] of this.#states)
        if (one.inFlight === 0 && one.coolUntil < now) this.#states.delete(name);
    const state = {
      inFlight: 0,
      failures: 0,
      coolUntil: 0,
      meanMs: 50,
      answers: 0,
      movedAt: now,
      waiters: [],
    };
    this.#states.set(receiver, state);
    return state;
  }
}
