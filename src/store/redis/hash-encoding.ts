// Whether Redis encodes the records of tasks compactly (`hash-max-listpack-value`), which takes a quarter of a kilobyte less for
// each. BioLayer may not read the settings of Redis, so it looks at a hash.

import type { Db } from './connection.ts';
import { PARTITIONS, partitionKeys } from './keys.ts';
import { defineScript } from './scripts.ts';
import { oneKeyEach } from './servers.ts';

/** The value of `hash-max-listpack-value` that is advised: more than nearly all packed tasks take. */
const ADVISED_LISTPACK_VALUE = 4096;

// ARGV: length of a value. Returns the encoding of a hash with such a value, which does not outlive the script.
const ENCODING = `
redis.call('HSET', KEYS[1], 'f', string.rep('x', tonumber(ARGV[1])))
local encoding = redis.call('OBJECT', 'ENCODING', KEYS[1])
redis.call('DEL', KEYS[1])
return encoding
`;

const encodingOf = defineScript<string>(ENCODING);

/** Whether all masters encode hashes with values of the advised length compactly; null when one does not take writes. */
export async function hasCompactHashes({
  redis,
  prefix,
}: Pick<Db, 'redis' | 'prefix'>): Promise<boolean | null> {
  const keys = PARTITIONS.map((partition) => partitionKeys(prefix, partition).encoding);
  try {
    const found = await Promise.all(
      oneKeyEach(redis, keys).map((key) => encodingOf(redis, [key], [ADVISED_LISTPACK_VALUE])),
    );
    return found.every((one) => one !== 'hashtable');
  } catch {
    return null;
  }
}
