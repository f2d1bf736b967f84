// Snapshots of the keys of a test, to show that a refused request changed nothing.
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** Every key of the prefix, including BullMQ's, with a digest of its type and value; without rate limit counters and heartbeats. */
export async function snapshot(redis: Redis, prefix: string): Promise<Map<string, string>> {
  const keys = new Set<string>();
  for (const pattern of [`${prefix}:*`, `{${prefix}-queues}:*`]) {
    for await (const found of redis.scanStream({ match: pattern, count: 5000 }))
      for (const key of found as string[]) keys.add(key);
  }
  const changesByItself = (key: string) => key.includes(':rate:') || key === `${prefix}:processes`;
  const sorted = [...keys].filter((key) => !changesByItself(key)).sort();
  const dumps = await Promise.all(
    sorted.map(async (key) => {
      const dump = await redis.dumpBuffer(key);
      return dump instanceof Buffer ? createHash('sha256').update(dump).digest('hex') : 'gone';
    }),
  );
  return new Map(sorted.map((key, index) => [key, dumps[index] ?? 'gone']));
}
