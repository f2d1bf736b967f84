// A connection to Redis that tells another time than Redis has, and a monotonic clock to go with it: the clock of a
// Redis that jumps, and minutes that pass at once.
import type { Redis } from 'ioredis';
import { vi } from 'vitest';

export interface ShiftedRedis {
  redis: Redis;
  /** By how much TIME is ahead, ms. */
  shift: number;
  /** Lets `ms` pass at once, for Redis and for this process. */
  pass(ms: number): void;
}

/** @param real asked for everything; only what TIME answers is changed. Mocks are restored by the test. */
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
    pass(ms: number) {
      passed += ms;
    },
  };
  return shifted;
}
