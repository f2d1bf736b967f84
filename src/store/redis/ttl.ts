// Redis expires keys by its own clock. When that goes back, existing keys live longer by that much: a claim or lock of a
// dead process would block others for hours. So callers that find such a key shorten its time to live.

import type { RedisClient } from './servers.ts';

const SHORTEN = `
if redis.call('PTTL', KEYS[1]) <= tonumber(ARGV[1]) then return end
if ARGV[2] and redis.call('GET', KEYS[1]) ~= ARGV[2] then return end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
`;

/** Reduces the time to live of a key to at most `most` ms. @param value only while the key has this value */
export async function shortenTtl(
  redis: RedisClient,
  key: string,
  most: number,
  value?: string,
): Promise<void> {
  await redis.eval(SHORTEN, 1, key, most, ...(value === undefined ? [] : [value]));
}
