// Optimistic concurrency: load, decide, commit, and repeat on a fresh view when another change came first. Every such
// loop takes its attempts from here, so that none is unbounded.

import { setTimeout as sleep } from 'node:timers/promises';

const ATTEMPTS = 50;
/** Longest pause between two attempts, ms. */
const PAUSE = 250;

/** A record kept changing while one update of it was attempted. Clients get 503 and may try again. */
export class ContendedError extends Error {
  override readonly name = 'ContendedError';

  /** @param what the record, for the log. */
  constructor(what: string) {
    super(`${what} kept changing while one update was attempted`);
  }
}

/**
 * The attempts of one update, numbered from 1; after the last, the caller throws `ContendedError`. The second follows
 * at once, later ones after a random pause of up to a quarter of a second, so that concurrent writers spread out.
 */
export async function* updateAttempts(): AsyncGenerator<number> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    if (attempt > 2) await sleep(Math.random() * Math.min(2 ** attempt, PAUSE));
    yield attempt;
  }
}
