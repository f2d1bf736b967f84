// Keys that Redis expires by its own clock. When that goes back, what was set before stays for as long as it went back
// by: a claim or a lock of a process that is gone would hold up others for hours.

import type { Redis } from 'ioredis';

const SHORTEN = `
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
`;

/** Lets a key that is there expire within `most` ms. */
export async function shortenTtl(redis: Redis, key: string, most: number): Promise<void> {
  await redis.eval(SHORTEN, 1, key, most);
}
