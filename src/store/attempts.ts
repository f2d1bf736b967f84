// How often somebody has tried to sign in of late. Counted before the password is looked at, so that a thousand
// guesses at once count as a thousand; and in Redis, so that it does not matter which process they reach.

import { hash } from 'node:crypto';
import { partitionKeys, partitionOf } from './keys.ts';
import type { Db } from './redis.ts';

/** How long attempts count, ms. */
const WINDOW = 15 * 60_000;

// A count that would stay for longer than the window was begun before Redis' clock went back.
const SCRIPT = `
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left > tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
return { count, left }
`;

/**
 * Counts one attempt.
 * @param name who or where: never stored as it is.
 * @param most attempts allowed within fifteen minutes of the first.
 * @returns null when it is allowed, else how long to wait, ms.
 */
export async function countAttempt(db: Db, name: string, most: number): Promise<number | null> {
  const reply = await db.redis.eval(SCRIPT, 1, keyOf(db, name), WINDOW);
  const [count, left] = Array.isArray(reply) ? reply.map(Number) : [];
  return (count ?? 0) <= most ? null : (left ?? WINDOW);
}

/** Forgets the attempts, after one that succeeded. */
export async function forgetAttempts(db: Db, name: string): Promise<void> {
  await db.redis.del(keyOf(db, name));
}

function keyOf(db: Db, name: string): string {
  const digest = hash('sha256', name, 'hex');
  return partitionKeys(db.prefix, partitionOf(digest)).attempts(digest);
}
