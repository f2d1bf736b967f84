// Redis' own account of itself.

import type { Redis } from 'ioredis';

/** The fields of INFO. @param section only those of this section */
export async function readInfo(redis: Redis, section?: string): Promise<ReadonlyMap<string, string>> {
  const text = await (section === undefined ? redis.info() : redis.info(section));
  const lines = text.split(/\r?\n/);
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}
