// Keeps one bad receiver from harming the others. A receiver that is overloaded (429, 502, 503, 504) or does
// not answer at all cools down: what is waiting for it waits on and spends no attempt, until one delivery has
// got through. A receiver, all the more a slow one, has only so many of the places of a worker process.
//
// A retry whose own time has come is let through a cool-down: its backoff has spaced it out already, and it
// finds out whether the receiver is back. Each process learns of its receivers by itself.

import type { SendOutcome } from './outcome.ts';

interface ReceiverState {
  inFlight: number;
  /** Hard failures since the last answer that shows it is there. */
  failures: number;
  coolUntil: number;
  /** Mean time of an attempt, ms, later ones counting more. */
  meanMs: number;
  /** Answers in a row, whatever they said. */
  answers: number;
  /** When an attempt ended last, or the first of those in flight began. */
  movedAt: number;
  /** Those who stand at the door: a place is about to fall free. First come, first served. */
  waiters: ((isIn: boolean) => void)[];
}

const SECOND = 1000;
const OVERLOADED: readonly (number | null)[] = [429, 502, 503, 504];
/** So many times in a row without an answer: it is not there. */
const FAILURES_TO_COOL = 5;
const LONGEST_COOL = 60 * SECOND;
const SLOW = 2 * SECOND;
/** Attempts at once to one receiver, however many places there are; twice as many to one that has shown to be quick. */
const MOST = 64;
/** Answers in a row that show it. */
const SHOWN = 50;
/** Nobody waits at the door who is not likely to be in within this, ms; nor for longer than twice that. */
const SHORTLY = 100;
const REMEMBERED = 10_000;

export class ConcurrencyLimiter {
  readonly #standings = new Map<string, ReceiverState>();
  readonly #quickCap: number;
  readonly #cap: number;
  readonly #slowCap: number;
  readonly #now: () => number;

  /** @param places deliveries that the process makes at once. @param now ms; a clock that never steps back. */
  constructor(places: number, now: () => number = () => performance.now()) {
    // Its places fall free again before anybody has to wait for one.
    this.#quickCap = Math.max(1, Math.min(2 * MOST, Math.floor(places * 0.65)));
    this.#cap = Math.max(1, Math.min(MOST, Math.floor(places * 0.4)));
    this.#slowCap = Math.max(1, Math.floor(places / 8));
    this.#now = now;
  }

  /**
   * Asks for a place with a receiver. Whoever gets one gives it back by `leave`.
   * @param isFresh whether this would be the delivery's first attempt.
   * @param hasOthers whether others wait for longer: then half of the places are theirs.
   */
  enter(receiver: string, isFresh: boolean, hasOthers = false): boolean {
    const now = this.#now();
    const standing = this.#standings.get(receiver) ?? this.#add(receiver, now);
    if (isFresh && standing.coolUntil > now) return false;
    const cap = this.#capOf(standing, isFresh);
    if (standing.inFlight >= (hasOthers ? Math.ceil(cap / 2) : cap)) return false;
    if (standing.inFlight === 0) standing.movedAt = now;
    standing.inFlight += 1;
    return true;
  }

  /** As `enter`, but waits a moment where a place is about to fall free. */
  async enterShortly(receiver: string, isFresh: boolean, hasOthers = false): Promise<boolean> {
    if (this.enter(receiver, isFresh, hasOthers)) return true;
    const standing = this.#standings.get(receiver);
    if (standing === undefined || standing.coolUntil > 0 || (hasOthers && !this.#isQuick(standing)))
      return false;
    const { waiters, meanMs } = standing;
    if (
      !this.#isMoving(standing) ||
      ((waiters.length + 1) * meanMs) / this.#capOf(standing, isFresh) > SHORTLY
    )
      return false;
    return await new Promise<boolean>((resolve) => {
      const enter = (isIn: boolean) => {
        clearTimeout(timer);
        resolve(isIn);
      };
      const timer = setTimeout(() => {
        waiters.splice(waiters.indexOf(enter), 1);
        resolve(false);
      }, 2 * SHORTLY);
      waiters.push(enter);
    });
  }

  /** Gives a place back with what came of the attempt; null when none was made. */
  leave(receiver: string, outcome: Pick<SendOutcome, 'status' | 'ms' | 'retryAfterMs'> | null): void {
    const standing = this.#standings.get(receiver);
    if (standing === undefined) return;
    const now = this.#now();
    standing.inFlight -= 1;
    standing.movedAt = now;
    if (outcome !== null) {
      standing.meanMs += (outcome.ms - standing.meanMs) * 0.2;
      standing.answers = outcome.status === null ? 0 : standing.answers + 1;
      this.#judge(standing, outcome, now);
    }
    const [first] = standing.waiters;
    if (first === undefined) return;
    if (standing.coolUntil > now) {
      for (const one of standing.waiters.splice(0)) one(false);
    } else if (standing.inFlight < this.#capOf(standing, true)) {
      standing.waiters.shift();
      standing.inFlight += 1;
      first(true);
    }
  }

  /** Whether a delivery that is new would not be let in now, nor shortly. */
  isShut(receiver: string): boolean {
    const standing = this.#standings.get(receiver);
    if (standing === undefined) return false;
    const now = this.#now();
    if (standing.coolUntil > now) return true;
    return standing.inFlight >= this.#capOf(standing, true) && !this.#isMoving(standing);
  }

  /** How long until a receiver has cooled down, ms; 0 when it does not. */
  coolFor(receiver: string): number {
    return Math.max(0, (this.#standings.get(receiver)?.coolUntil ?? 0) - this.#now());
  }

  /**
   * How many of those who wait may come.
   * @param coming those who are on their way. @returns 0 also while it would be too few to be worth the while.
   */
  room(receiver: string, coming: number): number {
    const standing = this.#standings.get(receiver) ?? this.#add(receiver, this.#now());
    if (standing.coolUntil > this.#now()) return 0;
    const cap = this.#capOf(standing, true);
    // They stand in line with those who are new, whom it would cost more to send away and call again.
    if (standing.inFlight > 0 && this.#isQuick(standing)) {
      const share = Math.ceil(cap / 2) - coming;
      return share >= cap / 4 ? share : 0;
    }
    const taken = standing.inFlight + standing.waiters.length + coming;
    return taken === 0 || cap - taken >= cap / 4 ? Math.max(0, cap - taken) : 0;
  }

  #isMoving({ movedAt }: ReceiverState): boolean {
    return this.#now() - movedAt < SHORTLY;
  }

  /** Whether whoever stands in line with a receiver is soon in. */
  #isQuick(standing: ReceiverState): boolean {
    return standing.coolUntil === 0 && standing.meanMs <= SHORTLY && this.#isMoving(standing);
  }

  #capOf(standing: ReceiverState, isFresh: boolean): number {
    // Cooled down, and not known yet to be back: one at a time finds out.
    if (isFresh && standing.coolUntil > 0) return 1;
    const isStuck = standing.inFlight > 0 && this.#now() - standing.movedAt > SLOW;
    if (isStuck || standing.meanMs > SLOW) return this.#slowCap;
    return standing.answers >= SHOWN && this.#isQuick(standing) ? this.#quickCap : this.#cap;
  }

  #judge(
    standing: ReceiverState,
    { status, retryAfterMs }: Pick<SendOutcome, 'status' | 'retryAfterMs'>,
    now: number,
  ): void {
    const isOverloaded = OVERLOADED.includes(status);
    if (!isOverloaded && status !== null) {
      standing.failures = 0;
      standing.coolUntil = 0;
      return;
    }
    standing.failures += 1;
    const rounds = isOverloaded ? standing.failures : standing.failures - FAILURES_TO_COOL + 1;
    if (rounds < 1) return;
    const backoff = Math.min(SECOND * 2 ** Math.min(rounds - 1, 10), LONGEST_COOL);
    const asked = isOverloaded ? (retryAfterMs ?? 0) : 0;
    standing.coolUntil = Math.max(standing.coolUntil, now + Math.max(backoff, asked));
  }

  #add(receiver: string, now: number): ReceiverState {
    if (this.#standings.size >= REMEMBERED)
      for (const [name, one] of this.#standings)
        if (one.inFlight === 0 && one.coolUntil < now) this.#standings.delete(name);
    const standing = {
      inFlight: 0,
      failures: 0,
      coolUntil: 0,
      meanMs: 50,
      answers: 0,
      movedAt: now,
      waiters: [],
    };
    this.#standings.set(receiver, standing);
    return standing;
  }
}
