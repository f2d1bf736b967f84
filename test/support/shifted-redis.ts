// A connection to Redis with a shifted TIME, and a shifted monotonic clock, to simulate a jump of Redis' clock and
// minutes that pass.
import type { Redis } from 'ioredis';
import { vi } from 'vitest';

export interface ShiftedRedis {
  redis: Redis;
  /** How much TIME is ahead, ms. */
  shift: number;
  /** Advances the clocks of Redis and of this process by `ms`. */
  advance(ms: number): void;
}

/** @param real handles all commands; only the reply to TIME is changed. The test restores the mocks. */
export function shiftedRedis(real: Redis): ShiftedRedis {
  const monotonic = performance.now.bind(performance);
  let passed = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => monotonic() + passed);
  const redis = new Proxy(real, {
    get(target, name) {
      if (name !== 'time') return Reflect.get(target, name, target);
      return async () => {
        const [seconds, micros] = await target.time();
        const ms = Number(seconds) * 1000 + Number(micros) / 1000 + shifted.shift + passed;
        return [Math.floor(ms / 1000), Math.round((ms % 1000) * 1000)];
      };
    },
  });
  const shifted = {
    redis,
    shift: 0,
    advance(ms: number) {
      passed += ms;
    },
  };
  return shifted;
}
