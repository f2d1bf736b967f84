// Snapshots of the keys of a test, to show that a refused request changed nothing.
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';

/** Every key of the prefix, including BullMQ's, with a digest of its type and value; without rate limit counters and heartbeats. */
export async function snapshot(redis: Redis, prefix: string): Promise<Map<string, string>> {
  const keys = new Set<string>();
  for (const pattern of [`${prefix}:*`, `{${prefix}-queues}:*`]) {
    let cursor = '0';
    do {
      const [next, found] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 5000);
      for (const key of found) keys.add(key);
      cursor = next;
    } while (cursor !== '0');
  }
  const changesByItself = (key: string) => key.includes(':rate:') || key === `${prefix}:processes`;
  const sorted = [...keys].filter((key) => !changesByItself(key)).sort();
  const pipeline = redis.pipeline();
  for (const key of sorted) pipeline.dumpBuffer(key);
  const dumps = ((await pipeline.exec()) ?? []).map(([error, dump]) => {
    if (error) throw error;
    return dump instanceof Buffer ? createHash('sha256').update(dump).digest('hex') : 'gone';
  });
  return new Map(sorted.map((key, index) => [key, dumps[index] ?? 'gone']));
}
