// The baseline of a life: what one change writes in one EVALSHA (a hash, its history, two indexes, a stream), the jobs of
// BullMQ that follow it, and nothing else.

import type { Redis } from 'ioredis';

/** The requests of a life, in their order, and the events that each causes with the jobs that follow. */
export const LIFE_REQUESTS = [
  { step: 'create', jobs: ['match'], events: 4 },
  { step: 'offers', jobs: [], events: 0 },
  { step: 'accept', jobs: [], events: 1 },
  { step: 'start', jobs: [], events: 1 },
  { step: 'submit', jobs: ['verify'], events: 3 },
] as const;

export const QUEUE = 'bare-life';
export const QUEUE_PREFIX = '{bare}';

interface WithChange {
  bareChange(...args: string[]): Promise<unknown>;
}

/** A function that writes one change of a task. */
export function changeWriter(connection: Redis): (id: string, step: string) => Promise<unknown> {
  const redis = connection as Redis & WithChange;
  redis.defineCommand('bareChange', {
    numberOfKeys: 5,
    lua: `
redis.call('HSET', KEYS[1], 'state', ARGV[2])
redis.call('RPUSH', KEYS[2], ARGV[3])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], 0, ARGV[1])
redis.call('XADD', KEYS[5], 'MAXLEN', '~', 10000, '*', 'id', ARGV[1])
return 1`,
  });
  return (id, step) => {
    const event = JSON.stringify({ id, step, at: new Date().toISOString(), data: { by: 'bare' } });
    const keys = [
      `life:{b}:${id}`,
      `life:{b}:history:${id}`,
      'life:{b}:before',
      `life:{b}:${step}`,
      'life:{b}:feed',
    ];
    return redis.bareChange(...keys, id, step, event);
  };
}
