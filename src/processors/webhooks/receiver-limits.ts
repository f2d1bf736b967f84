// Concurrency limiter with a circuit breaker for each receiver, so that a failing receiver does not harm the others.
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
  /** When the cool-down ends, ms; 0 without one. See `circuitOf`. */
  coolUntil: number;
  /** Moving average of the duration of an attempt, ms. */
  meanMs: number;
  /** Consecutive attempts with a response, whatever its status. */
  responsesInARow: number;
  /** When an attempt ended last, or the first of those in flight began. */
  lastProgressAt: number;
  /** Callers that wait in `acquireSoon` for a slot, in first-in, first-out order. */
  waiters: ((isGranted: boolean) => void)[];
}

const SECOND = 1000;
const OVERLOADED: readonly (number | null)[] = [429, 502, 503, 504];
/** Consecutive failures without a response after which a receiver cools down. */
const FAILURES_TO_OPEN = 5;
const MAX_COOL_DOWN_MS = 60 * SECOND;
const SLOW_MS = 2 * SECOND;
/** Most concurrent attempts to one receiver; a receiver that has proved quick gets twice as many. */
const CAP = 64;
/** Consecutive responses after which a receiver counts as quick. */
const QUICK_AFTER = 50;
/** A caller waits for a slot only if it is likely to free up within this, ms, and never longer than twice that. */
const SHORT_WAIT_MS = 100;
const MAX_STATES = 10_000;
/** Shares of the slots of a process that one receiver may use: a quick one, any other, a slow one. */
const QUICK_SHARE = 0.65;
const USUAL_SHARE = 0.4;
const SLOW_SHARE = 1 / 8;
/** Weight of the last attempt in the moving average of the duration. */
const MEAN_WEIGHT = 0.2;
/** A smaller share of a receiver's slots is not worth a batch of its backlog. */
const MIN_BATCH_SHARE = 1 / 4;

/**
 * State of the circuit breaker: `closed` in normal operation, `open` during a cool-down (first attempts are refused), and
 * `half_open` after it, until an attempt succeeds (one first attempt at a time).
 */
function circuitOf({ coolUntil }: ReceiverState, now: number): 'closed' | 'open' | 'half_open' {
  if (coolUntil === 0) return 'closed';
  return coolUntil > now ? 'open' : 'half_open';
}

function hasRecentProgress({ lastProgressAt }: ReceiverState, now: number): boolean {
  return now - lastProgressAt < SHORT_WAIT_MS;
}

export class ConcurrencyLimiter {
  readonly #states = new Map<string, ReceiverState>();
  readonly #quickCap: number;
  readonly #cap: number;
  readonly #slowCap: number;
  readonly #now: () => number;

  /** @param concurrency concurrent deliveries of the process. @param now a monotonic clock, ms. */
  constructor(concurrency: number, now: () => number = () => performance.now()) {
    // A quick receiver frees its slots before another receiver has to wait for one.
    this.#quickCap = Math.max(1, Math.min(2 * CAP, Math.floor(concurrency * QUICK_SHARE)));
    this.#cap = Math.max(1, Math.min(CAP, Math.floor(concurrency * USUAL_SHARE)));
    this.#slowCap = Math.max(1, Math.floor(concurrency * SLOW_SHARE));
    this.#now = now;
  }

  /**
   * Takes a slot of the receiver, if one is free; it must be returned with `release`.
   * @param isFresh whether this is the delivery's first attempt.
   * @param hasBacklog whether the receiver has a backlog; half of the slots are reserved for it then.
   */
  tryAcquire(receiver: string, isFresh: boolean, hasBacklog = false): boolean {
    const now = this.#now();
    const state = this.#states.get(receiver) ?? this.#add(receiver, now);
    if (isFresh && circuitOf(state, now) === 'open') return false;
    const cap = this.#capOf(state, isFresh, now);
    if (state.inFlight >= (hasBacklog ? Math.ceil(cap / 2) : cap)) return false;
    if (state.inFlight === 0) state.lastProgressAt = now;
    state.inFlight += 1;
    return true;
  }

  /** As `tryAcquire`, but waits briefly when a slot is about to free up. */
  async acquireSoon(receiver: string, isFresh: boolean, hasBacklog = false): Promise<boolean> {
    if (this.tryAcquire(receiver, isFresh, hasBacklog)) return true;
    const state = this.#states.get(receiver);
    const now = this.#now();
    if (
      state === undefined ||
      circuitOf(state, now) !== 'closed' ||
      (hasBacklog && !this.#isQuick(state, now))
    )
      return false;
    const { waiters, meanMs } = state;
    if (
      !hasRecentProgress(state, now) ||
      ((waiters.length + 1) * meanMs) / this.#capOf(state, isFresh, now) > SHORT_WAIT_MS
    )
      return false;
    return await new Promise<boolean>((resolve) => {
      const settle = (isGranted: boolean) => {
        clearTimeout(timer);
        resolve(isGranted);
      };
      const timer = setTimeout(() => {
        waiters.splice(waiters.indexOf(settle), 1);
        resolve(false);
      }, 2 * SHORT_WAIT_MS);
      waiters.push(settle);
    });
  }

  /** Returns a slot. @param outcome result of the attempt; null when nothing was sent. */
  release(receiver: string, outcome: Pick<SendOutcome, 'status' | 'ms' | 'retryAfterMs'> | null): void {
    const state = this.#states.get(receiver);
    if (state === undefined) return;
    const now = this.#now();
    state.inFlight -= 1;
    state.lastProgressAt = now;
    if (outcome !== null) {
      state.meanMs += (outcome.ms - state.meanMs) * MEAN_WEIGHT;
      state.responsesInARow = outcome.status === null ? 0 : state.responsesInARow + 1;
      this.#updateCoolDown(state, outcome, now);
    }
    const [first] = state.waiters;
    if (first === undefined) return;
    if (circuitOf(state, now) === 'open') {
      for (const one of state.waiters.splice(0)) one(false);
    } else if (state.inFlight < this.#capOf(state, true, now)) {
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
    if (circuitOf(state, now) === 'open') return true;
    return state.inFlight >= this.#capOf(state, true, now) && !hasRecentProgress(state, now);
  }

  /** Receivers that cool down now. */
  get coolingDown(): number {
    const now = this.#now();
    let count = 0;
    for (const state of this.#states.values()) if (circuitOf(state, now) === 'open') count += 1;
    return count;
  }

  /** Time until the cool-down of a receiver ends, ms; 0 without one. */
  coolDownMs(receiver: string): number {
    return Math.max(0, (this.#states.get(receiver)?.coolUntil ?? 0) - this.#now());
  }

  /**
   * Number of deliveries of the backlog that may be released.
   * @param expected released deliveries that have not arrived yet. @returns 0 when fewer than a quarter of the slots are free.
   */
  freeSlots(receiver: string, expected: number): number {
    const now = this.#now();
    const state = this.#states.get(receiver) ?? this.#add(receiver, now);
    if (circuitOf(state, now) === 'open') return 0;
    const cap = this.#capOf(state, true, now);
    // A quick receiver's slots are shared: at most half for the backlog, because parking first attempts costs more.
    if (state.inFlight > 0 && this.#isQuick(state, now)) {
      const share = Math.ceil(cap / 2) - expected;
      return share >= cap * MIN_BATCH_SHARE ? share : 0;
    }
    const used = state.inFlight + state.waiters.length + expected;
    return used === 0 || cap - used >= cap * MIN_BATCH_SHARE ? Math.max(0, cap - used) : 0;
  }

  /** Whether the slots of the receiver free up fast enough to wait for one. */
  #isQuick(state: ReceiverState, now: number): boolean {
    return (
      circuitOf(state, now) === 'closed' && state.meanMs <= SHORT_WAIT_MS && hasRecentProgress(state, now)
    );
  }

  #capOf(state: ReceiverState, isFresh: boolean, now: number): number {
    // After a cool-down, one attempt at a time probes whether the receiver is back.
    if (isFresh && circuitOf(state, now) !== 'closed') return 1;
    const isStuck = state.inFlight > 0 && now - state.lastProgressAt > SLOW_MS;
    if (isStuck || state.meanMs > SLOW_MS) return this.#slowCap;
    return state.responsesInARow >= QUICK_AFTER && this.#isQuick(state, now) ? this.#quickCap : this.#cap;
  }

  #updateCoolDown(
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
    const exponent = isOverloaded ? state.failures : state.failures - FAILURES_TO_OPEN + 1;
    if (exponent < 1) return;
    const backoff = Math.min(SECOND * 2 ** Math.min(exponent - 1, 10), MAX_COOL_DOWN_MS);
    const retryAfter = isOverloaded ? (retryAfterMs ?? 0) : 0;
    state.coolUntil = Math.max(state.coolUntil, now + Math.max(backoff, retryAfter));
  }

  #add(receiver: string, now: number): ReceiverState {
    if (this.#states.size >= MAX_STATES)
      for (const [name, one] of this.#states)
        if (one.inFlight === 0 && one.coolUntil < now) this.#states.delete(name);
    const state = {
      inFlight: 0,
      failures: 0,
      coolUntil: 0,
      meanMs: 50,
      responsesInARow: 0,
      lastProgressAt: now,
      waiters: [],
    };
    this.#states.set(receiver, state);
    return state;
  }
}
