// Limits of sign-in attempts. An attempt is counted before the password is checked, so concurrent guesses all count, and
// in Redis, so that all processes share the counts.

import { hash } from 'node:crypto';
import type { Db } from '../redis/connection.ts';
import { partitionKeys, partitionOf } from '../redis/keys.ts';

/** Attempts from one network are counted within this time after the first, ms. */
const WINDOW = 15 * 60_000;
/** Attempts at one account without a delay, and the first delay, ms, which doubles with each further attempt. */
const FREE = 3;
const FIRST_DELAY = 1000;
const LONGEST_DELAY = 15 * 60_000;
/** The count of one account expires this long after the last attempt, ms. */
const REMEMBERED = 60 * 60_000;

// A key whose remaining time exceeds the window was set before Redis' clock went back.
// ARGV: window (ms), most attempts. Returns 0, or the time to wait, ms.
const COUNT = `
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left > tonumber(ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
  left = tonumber(ARGV[1])
end
if count <= tonumber(ARGV[2]) then return 0 end
return left
`;

const UNCOUNT = `if (tonumber(redis.call('GET', KEYS[1])) or 0) > 0 then redis.call('DECR', KEYS[1]) end`;

// Fields: `n` number of attempts, `t` when the next is allowed (ms). A wait beyond the longest delay was set before the
// clock went back. ARGV: attempts without delay, first and longest delay, expiry (all ms). Returns the time to wait, ms.
const DELAY = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local free, first, longest = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local wait = (tonumber(redis.call('HGET', KEYS[1], 't')) or 0) - now
if wait > 0 then return math.min(wait, longest) end
local count = redis.call('HINCRBY', KEYS[1], 'n', 1)
local delay = 0
if count >= free then delay = math.min(longest, first * 2 ^ math.min(count - free, 30)) end
redis.call('HSET', KEYS[1], 't', string.format('%.0f', now + delay))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 0
`;

/**
 * Counts an attempt from a network.
 * @param network stored only as a hash. @param most attempts within fifteen minutes of the first.
 * @returns 0 when the attempt is allowed, else the time to wait, ms.
 */
export async function countAttempt(db: Db, network: string, most: number): Promise<number> {
  return Number(await db.redis.eval(COUNT, 1, keyOf(db, `network ${network}`), WINDOW, most));
}

/** Subtracts an attempt of a network after it has succeeded. */
export async function uncountAttempt(db: Db, network: string): Promise<void> {
  await db.redis.eval(UNCOUNT, 1, keyOf(db, `network ${network}`));
}

/**
 * Counts a sign-in of a worker or member that succeeded: each makes a session and an entry of the audit log.
 * @param who stored only as a hash. @param most sign-ins within fifteen minutes of the first.
 * @returns 0 when it is allowed, else the time to wait, ms.
 */
export async function countSignIn(db: Db, who: string, most: number): Promise<number> {
  return Number(await db.redis.eval(COUNT, 1, keyOf(db, `signed in ${who}`), WINDOW, most));
}

/**
 * Counts an attempt at an account from one source. The first three are allowed at once; after that the delay doubles,
 * from a second up to fifteen minutes. An attempt that comes too early is not counted.
 * @param who the source and the account; stored only as a hash.
 * @returns 0 when the attempt is allowed, else the time to wait, ms.
 */
export async function delayAttempt(db: Db, who: string): Promise<number> {
  const key = keyOf(db, `account ${who}`);
  return Number(await db.redis.eval(DELAY, 1, key, FREE, FIRST_DELAY, LONGEST_DELAY, REMEMBERED));
}

/** Resets the count of an account after a successful attempt. @param who as in `delayAttempt`. */
export async function forgetAttempts(db: Db, who: string): Promise<void> {
  await db.redis.del(keyOf(db, `account ${who}`));
}

function keyOf(db: Db, name: string): string {
  const digest = hash('sha256', name, 'hex');
  return partitionKeys(db.prefix, partitionOf(digest)).attempts(digest);
}
