// Checks against Redis' clock that a time has come, within the script that depends on it. Irreversible changes (a task
// fails, an offer expires, a record is purged) are written only then, so neither a process with a wrong clock nor an
// unconfirmed jump of Redis' clock ends anything early.

import type { Clock } from './connection.ts';

/** A larger difference between the clocks of Redis and a process counts as a jump, ms. */
export const MAX_CLOCK_DIFFERENCE_MS = 5000;

/**
 * Defines `notDue(at, expected)`, both in ms of Redis' time. Returns Redis' time when that is before `at` or differs too
 * much from what the process expects; else nil.
 */
export const DUE_LUA = `
local function notDue(at, expected)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if now < tonumber(at) or math.abs(now - tonumber(expected)) > ${MAX_CLOCK_DIFFERENCE_MS} then return now end
end
`;

/** The time has not come yet by Redis' clock, or that clock has jumped. Clients get 503 and may retry. */
export class NotDueError extends Error {
  override readonly name = 'NotDueError';

  /** @param redisTime Redis' time, ms; null when it was not asked because its clock has jumped. */
  constructor(redisTime: number | null) {
    super(redisTime === null ? "Redis' clock has jumped" : `it is not due at ${redisTime} by Redis' clock`);
  }
}

/** The arguments of `notDue`. @param at the time that must have come, ms. @throws NotDueError while the clock is frozen */
export function dueArguments(clock: Clock, at: number): [at: number, expected: number] {
  if (clock.isFrozen) throw new NotDueError(null);
  return [at - clock.offset, clock.now() - clock.offset];
}

/**
 * Runs an action that depends on a time having come.
 * @returns its result; null when it was not due, in which case the clock has been synchronized again.
 */
export async function whenDue<T>(clock: Clock, act: () => Promise<T>): Promise<T | null> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof NotDueError)) throw error;
    await clock.sync();
    return null;
  }
}
