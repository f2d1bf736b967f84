// Redis' own account of itself.

import type { Redis } from 'ioredis';

/** The fields of the INFO of a server. @param section only those of this section */
export async function readInfo(server: Redis, section?: string): Promise<ReadonlyMap<string, string>> {
  const text = await (section === undefined ? server.info() : server.info(section));
  const lines = text.split(/\r?\n/);
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}
