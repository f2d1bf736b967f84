// Token buckets that all processes share, see `state/access/token-bucket.ts`: a bucket is one time, the one at which it is
// full again, and gone by itself then. Several buckets are drawn from in one step: all give, or none does.
// Own code, since the libraries there are count windows, let twice the quota through at their seams, and cost
// a command a request; this is drawn from by the handful.

import type { Redis } from 'ioredis';
import { type Quota, stepOf } from '../../state/access/token-bucket.ts';
import { defineScripts } from './scripts.ts';

/** What a bucket has after a draw. */
export interface BucketView {
  left: number;
  /** ms until it is full. */
  full_in: number;
  /** ms until it has one more than now; 0 when it has one. */
  wait: number;
}

export interface Draw {
  /** 0 when one of the buckets is empty. */
  granted: number;
  buckets: BucketView[];
}

// Redis' clock, so that processes agree. Allowed beyond the memory limit: it must not stop what only reads,
// and what it writes is small and soon gone. No bucket is full later than its window from now: a time beyond
// that was written before the clock went back (a failover, an operator), and says nothing. By a second or less it is
// an empty bucket, by more the bucket is as new: nobody waits for the time at which the clock was.
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

const withScript = defineScripts<{
  biolayerDraw(keys: number, ...args: (string | number)[]): Promise<number[]>;
}>({ biolayerDraw: { lua: SCRIPT } });

/**
 * Takes up to `wanted` from every one of the buckets, the same from each, in one round trip.
 * @param buckets keys of one hash slot, with their quotas.
 * @throws the client's error when Redis is away.
 */
export async function draw(
  redis: Redis,
  buckets: readonly { key: string; quota: Quota }[],
  wanted: number,
): Promise<Draw> {
  const [granted = 0, ...views] = await withScript(redis).biolayerDraw(
    buckets.length,
    ...buckets.map(({ key }) => key),
    wanted,
    ...buckets.flatMap(({ quota }) => [stepOf(quota), quota.requests]),
  );
  return {
    granted,
    buckets: buckets.map((_, index) => {
      const [left = 0, full_in = 0, wait = 0] = views.slice(3 * index);
      return { left, full_in, wait };
    }),
  };
}
