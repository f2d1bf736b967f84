// The memory of Redis by families of keys: what each kind of key takes, so that the bytes of a task can be accounted for.
// MEMORY USAGE is exact for a key: its name, its value and all that the allocator rounds up. The table of all keys is not in it.

import type { Redis } from 'ioredis';

/** Bytes of each family of keys. */
export type FamilyBytes = Map<Family, number>;

export type Family =
  | 'record'
  | 'deliveries'
  | 'indexes'
  | 'index of request ids'
  | 'feed'
  | 'retention'
  | 'offers and logs of workers'
  | 'due times'
  | 'BullMQ'
  | 'statistics and others';

/** By the name of the key after its partition and org. */
const FAMILIES: readonly (readonly [pattern: RegExp, family: Family])[] = [
  [/^(task|history|evidence|messages|draft|claims):/, 'record'],
  [/^(deliveries:|ordering:|pending-deliveries|dead$)/, 'deliveries'],
  [/^index:request_id/, 'index of request ids'],
  [/^index:/, 'indexes'],
  [/^feed$/, 'feed'],
  [/^(purges|retain)$/, 'retention'],
  [/^(offers|worker-log):/, 'offers and logs of workers'],
  [/^due/, 'due times'],
];

/** The family of a key. */
function familyOf(key: string): Family {
  if (/^\{[^}]*queues/.test(key)) return 'BullMQ';
  const name = key.replace(/^[^:]*:\{[^}]*\}:/, '').replace(/^[^:]*[0-9a-f]{12}[^:]*:/, '');
  return FAMILIES.find(([pattern]) => pattern.test(name))?.[1] ?? 'statistics and others';
}

/** Bytes of all keys of a server, by family. */
export async function bytesByFamily(redis: Redis): Promise<FamilyBytes> {
  const bytes: FamilyBytes = new Map();
  for (let cursor: string | null = '0'; cursor !== null; ) {
    const [next, keys]: [string, string[]] = await redis.scan(cursor, 'COUNT', 500);
    const usages = await Promise.all(keys.map((key) => redis.memory('USAGE', key, 'SAMPLES', 0)));
    for (const [index, key] of keys.entries()) {
      const family = familyOf(key);
      bytes.set(family, (bytes.get(family) ?? 0) + (usages[index] ?? 0));
    }
    cursor = next === '0' ? null : next;
  }
  return bytes;
}
