// Keeps one bad receiver from harming the others. A receiver that is overloaded (429, 502, 503, 504) or does
// not answer at all cools down: what is waiting for it waits on and spends no attempt, until one delivery has
// got through. A receiver, all the more a slow one, has only so many of the places of a worker process.
//
// A retry whose own time has come is let through a cool-down: its backoff has spaced it out already, and it
// finds out whether the receiver is back. Each process learns of its receivers by itself.

import type { SendOutcome } from './webhook-outcome.ts';

interface Standing {
  inFlight: number;
  /** Hard failures since the last answer that shows it is there. */
  failures: number;
  coolUntil: number;
  /** Mean time of an attempt, ms, later ones counting more. */
  meanMs: number;
  /** When the place that was promised last falls free. */
  promised: number;
}

const SECOND = 1000;
const OVERLOADED: readonly (number | null)[] = [429, 502, 503, 504];
/** So many times in a row without an answer: it is not there. */
const FAILURES_TO_COOL = 5;
const LONGEST_COOL = 60 * SECOND;
/** The longest a delivery waits before it looks again, ms. */
const LONGEST_WAIT = 30 * SECOND;
const SHORTEST_WAIT = 200;
const SLOW = 2 * SECOND;
const REMEMBERED = 10_000;

export class ReceiverGate {
  readonly #standings = new Map<string, Standing>();
  readonly #cap: number;
  readonly #slowCap: number;
  readonly #now: () => number;

  /** @param places deliveries that the process makes at once. @param now ms; a clock that never steps back. */
  constructor(places: number, now: () => number = () => performance.now()) {
    this.#cap = Math.max(1, Math.floor(places * 0.75));
    this.#slowCap = Math.max(1, Math.floor(places / 8));
    this.#now = now;
  }

  /**
   * Asks for a place with a receiver. Whoever gets one gives it back by `leave`.
   * @param isFresh whether this would be the delivery's first attempt.
   * @returns null with a place; else how long to wait before asking again, ms.
   */
  enter(receiver: string, isFresh: boolean): number | null {
    const now = this.#now();
    const standing = this.#standings.get(receiver) ?? this.#add(receiver, now);
    if (isFresh && standing.coolUntil > now) return spread(standing.coolUntil - now);
    // Cooled down, and not known yet to be back: one at a time finds out.
    const isDoubtful = isFresh && standing.coolUntil > 0;
    const cap = isDoubtful ? 1 : standing.meanMs > SLOW ? this.#slowCap : this.#cap;
    if (standing.inFlight < cap) {
      standing.inFlight += 1;
      return null;
    }
    standing.promised = Math.max(now, standing.promised) + standing.meanMs / cap;
    // Rather look too early than leave a place empty.
    return spread((standing.promised - now) * 0.7);
  }

  /** Gives a place back with what came of the attempt. */
  leave(receiver: string, outcome: Pick<SendOutcome, 'status' | 'ms' | 'retryAfterMs'>): void {
    const standing = this.#standings.get(receiver);
    if (standing === undefined) return;
    const now = this.#now();
    standing.inFlight -= 1;
    standing.meanMs += (outcome.ms - standing.meanMs) * 0.2;
    const isOverloaded = OVERLOADED.includes(outcome.status);
    if (!isOverloaded && outcome.status !== null) {
      standing.failures = 0;
      standing.coolUntil = 0;
      return;
    }
    standing.failures += 1;
    const rounds = isOverloaded ? standing.failures : standing.failures - FAILURES_TO_COOL + 1;
    if (rounds < 1) return;
    const backoff = Math.min(SECOND * 2 ** Math.min(rounds - 1, 10), LONGEST_COOL);
    const asked = isOverloaded ? (outcome.retryAfterMs ?? 0) : 0;
    standing.coolUntil = Math.max(standing.coolUntil, now + Math.max(backoff, asked));
  }

  #add(receiver: string, now: number): Standing {
    if (this.#standings.size >= REMEMBERED)
      for (const [name, one] of this.#standings)
        if (one.inFlight === 0 && one.coolUntil < now) this.#standings.delete(name);
    const standing = { inFlight: 0, failures: 0, coolUntil: 0, meanMs: 50, promised: 0 };
    this.#standings.set(receiver, standing);
    return standing;
  }
}

/** A wait within bounds, up to a fifth longer, so that those who wait do not come back as one. */
function spread(ms: number): number {
  const wait = Math.min(Math.max(ms, SHORTEST_WAIT), LONGEST_WAIT);
  return Math.ceil(wait * (1 + Math.random() * 0.2));
}
