// How often sign-in was attempted of late. Counted before the password is looked at, so that a thousand guesses at
// once count as a thousand; and in Redis, so that it does not matter which process they reach.

import { hash } from 'node:crypto';
import type { Db } from '../redis/connection.ts';
import { partitionKeys, partitionOf } from '../redis/keys.ts';

/** How long the attempts from one network count, ms. */
const WINDOW = 15 * 60_000;
/** Attempts at one account that need not wait, and how long the next waits, ms: twice as long after each. */
const FREE = 3;
const FIRST_DELAY = 1000;
const LONGEST_DELAY = 15 * 60_000;
/** How long attempts at one account are remembered after the last, ms. */
const REMEMBERED = 60 * 60_000;

// A count that would stay for longer than the window was begun before Redis' clock went back.
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

// 'n': attempts; 't': when the next may be made. A time beyond the longest delay is from before the clock went back.
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
 * @param network never stored as it is. @param most attempts within fifteen minutes of the first.
 * @returns 0 when it is allowed, else how long to wait, ms.
 */
export async function countAttempt(db: Db, network: string, most: number): Promise<number> {
  return Number(await db.redis.eval(COUNT, 1, keyOf(db, `network ${network}`), WINDOW, most));
}

/** Takes one attempt from a network back, after it succeeded. */
export async function uncountAttempt(db: Db, network: string): Promise<void> {
  await db.redis.eval(UNCOUNT, 1, keyOf(db, `network ${network}`));
}

/**
 * Counts an attempt at an account by one who attempts it: the first three at once, each later one after twice the
 * delay of the one before, from a second up to a quarter of an hour. One that comes too early is not counted.
 * @param who attempts which account: never stored as it is.
 * @returns 0 when it is allowed, else how long to wait, ms.
 */
export async function delayAttempt(db: Db, who: string): Promise<number> {
  const key = keyOf(db, `account ${who}`);
  return Number(await db.redis.eval(DELAY, 1, key, FREE, FIRST_DELAY, LONGEST_DELAY, REMEMBERED));
}

/** Forgets the attempts at an account, after one that succeeded. */
export async function forgetAttempts(db: Db, who: string): Promise<void> {
  await db.redis.del(keyOf(db, `account ${who}`));
}

function keyOf(db: Db, name: string): string {
  const digest = hash('sha256', name, 'hex');
  return partitionKeys(db.prefix, partitionOf(digest)).attempts(digest);
}
