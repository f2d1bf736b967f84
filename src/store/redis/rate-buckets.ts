// Token buckets that all processes share, see `state/access/token-bucket.ts`. A bucket is stored as the time at which it
// is full again, and expires then. Tokens are taken from several buckets in one step: from all of them or from none.
// Existing libraries count in windows, allow twice the quota around a window boundary, and cost a command per request;
// here a process takes tokens in batches.

import { type Quota, stepOf } from '../../state/access/token-bucket.ts';
import { defineScript } from './scripts.ts';
import type { RedisClient } from './servers.ts';

/** State of a bucket after a draw. */
export interface BucketView {
  /** Number of tokens. */
  left: number;
  /** Time until it is full, ms. */
  full_in: number;
  /** Time until it has a token, ms; 0 when it has one. */
  wait: number;
}

export interface Draw {
  /** Tokens taken from each bucket; 0 when one of them is empty. */
  granted: number;
  buckets: BucketView[];
}

// Uses Redis' clock, so that all processes agree. It may run beyond the memory limit, because it must not block reads,
// and its writes are small and expire soon. A bucket is full within its window at the latest; a later time was written
// before Redis' clock went back. If it is later by up to a second, the bucket counts as empty, else as full.
const SCRIPT = `#!lua flags=allow-oom
local CLOCK_ERROR = 1000
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local granted = tonumber(ARGV[1])
local full = {}
for i, key in ipairs(KEYS) do
  local step, most = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local at, latest = tonumber(redis.call('GET', key) or now), now + most * step
  if at > latest + CLOCK_ERROR then at = now end
  full[i] = math.min(math.max(at, now), latest)
  granted = math.max(0, math.min(granted, math.floor((now - full[i]) / step + most + 0.001)))
end
local answer = {granted}
for i, key in ipairs(KEYS) do
  local step, most = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  full[i] = full[i] + granted * step
  local left = (now - full[i]) / step + most + 0.001
  if granted > 0 then
    redis.call('SET', key, string.format('%.3f', full[i]), 'PX', math.max(1, math.ceil(full[i] - now)))
  end
  answer[#answer + 1] = math.floor(left)
  answer[#answer + 1] = math.ceil(full[i] - now)
  answer[#answer + 1] = left >= 1 and 0 or math.ceil((1 - left) * step)
end
return answer
`;

const runDraw = defineScript<number[]>(SCRIPT);

/**
 * Takes up to `wanted` from every one of the buckets, the same from each, in one round trip.
 * @param buckets keys of one hash slot, with their quotas.
 * @throws the client's error in an outage.
 */
export async function draw(
  redis: RedisClient,
  buckets: readonly { key: string; quota: Quota }[],
  wanted: number,
): Promise<Draw> {
  const [granted = 0, ...views] = await runDraw(
    redis,
    buckets.map(({ key }) => key),
    [wanted, ...buckets.flatMap(({ quota }) => [stepOf(quota), quota.requests])],
  );
  return {
    granted,
    buckets: buckets.map((_, index) => {
      const [left = 0, full_in = 0, wait = 0] = views.slice(3 * index);
      return { left, full_in, wait };
    }),
  };
}
