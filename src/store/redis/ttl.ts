// Redis expires keys by its own clock. When that goes back, existing keys live longer by that much: a claim or lock of a
// dead process would block others for hours. So callers that find such a key shorten its time to live.

import type { Redis } from 'ioredis';

const SHORTEN = `
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
`;

/** Reduces the time to live of a key to at most `most` ms. */
export async function shortenTtl(redis: Redis, key: string, most: number): Promise<void> {
  await redis.eval(SHORTEN, 1, key, most);
}
