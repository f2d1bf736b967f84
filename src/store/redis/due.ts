// Whether a time has come, asked of Redis' own clock in the step that rests on it. Whatever cannot be undone (a task
// fails, an offer ends, a record is purged) is written only then, so neither a process whose clock is off nor a jump of
// Redis' clock that nobody has confirmed ends anything.

import type { Clock } from './connection.ts';

/** Redis' clock and a process' may differ by this much before it is a jump, ms. */
export const JUMP = 5000;

/**
 * Defines `notDue(at, expected)`, both Redis' time in ms: Redis' time when it is not `at` yet, or when it is not about
 * what the process expects; else nil.
 */
export const DUE_LUA = `
local function notDue(at, expected)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if now < tonumber(at) or math.abs(now - tonumber(expected)) > ${JUMP} then return now end
end
`;

/** The time had not come yet by Redis' clock, or that clock has jumped. Clients get 503 and may try again. */
export class NotDueError extends Error {
  override readonly name = 'NotDueError';

  /** @param redisTime what Redis' clock said, ms; null when it was not asked, since it has jumped. */
  constructor(redisTime: number | null) {
    super(redisTime === null ? "Redis' clock has jumped" : `it is not due at ${redisTime} by Redis' clock`);
  }
}

/** The arguments of `notDue`. @param at the time that must have come, ms. @throws NotDueError while the clock is held */
export function dueArguments(clock: Clock, at: number): [at: number, expected: number] {
  if (clock.isHeld) throw new NotDueError(null);
  return [at - clock.offset, clock.now() - clock.offset];
}

/**
 * Does what ends something by time.
 * @returns what it returned; null when it was not due after all, and then Redis' time has been asked for anew.
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
