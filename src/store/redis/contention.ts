// Optimistic concurrency: load, decide, commit, and repeat on a fresh view when another change came first. Every such
// loop of the project is a call of `updateWithRetry`, so none is unbounded and all end in the same error.

import { setTimeout as sleep } from 'node:timers/promises';

const ATTEMPTS = 50;
/** Longest pause between two attempts, ms. */
const LONGEST_PAUSE = 250;

/** A record kept changing while one update of it was attempted. Clients get 503 and may try again. */
export class ContendedError extends Error {
  override readonly name = 'ContendedError';

  /** @param what the record, for the log. */
  constructor(what: string) {
    super(`${what} kept changing while one update was attempted`);
  }
}

/** What an attempt returns when its commit was refused because something it was decided on has changed. */
export const CONFLICT = Symbol('conflict');

/**
 * Attempts an update until its commit succeeds. The second attempt follows at once, later ones after a random pause of
 * up to a quarter of a second, so that concurrent writers spread out.
 * @param what the record that is updated, for the error.
 * @param attempt loads, decides and commits; called again, with `isRetry`, each time it returns `CONFLICT`.
 * @returns what the attempt returned. @throws ContendedError after 50 attempts.
 */
export async function updateWithRetry<T>(
  what: string,
  attempt: (isRetry: boolean) => Promise<T | typeof CONFLICT>,
): Promise<T> {
  for (let attempts = 1; attempts <= ATTEMPTS; attempts += 1) {
    if (attempts > 2) await sleep(Math.random() * Math.min(2 ** attempts, LONGEST_PAUSE));
    const result = await attempt(attempts > 1);
    if (result !== CONFLICT) return result;
  }
  throw new ContendedError(what);
}
