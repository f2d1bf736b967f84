// The servers behind a connection: one, or the masters of a Redis Cluster. For what is true of a server and not of a key, such
// as its memory.

import { Cluster, Command, type Redis } from 'ioredis';

/** Reaches the server that has the key of a command, whichever that is. */
export type RedisClient = Redis | Cluster;

/** The slot of a key in a cluster. */
export function slotOf(key: string): number {
  return new Command('GET', [key]).getSlot();
}

/** The servers that take writes. */
export function serversOf(redis: RedisClient): Redis[] {
  return redis instanceof Cluster ? redis.nodes('master') : [redis];
}

/** The server that takes the writes of a key, as far as is known; null for none. */
export function serverOf(redis: RedisClient, key: string): Redis | null {
  if (!(redis instanceof Cluster)) return redis;
  const address = redis.slots[slotOf(key)]?.[0];
  return serversOf(redis).find((one) => addressOf(one) === address) ?? null;
}

/** Groups items by the server that takes the writes of their key; those whose server is not known are left out. */
export function byServer<T>(
  redis: RedisClient,
  items: readonly T[],
  keyOf: (item: T) => string,
): Map<Redis, T[]> {
  const groups = new Map<Redis, T[]>();
  for (const item of items) {
    const server = serverOf(redis, keyOf(item));
    if (server === null) continue;
    const group = groups.get(server);
    if (group === undefined) groups.set(server, [item]);
    else group.push(item);
  }
  return groups;
}

/** Calls `act` when the connection to a server is lost. */
export function onLostServer(redis: RedisClient, act: () => void): void {
  redis.on('close', act);
  if (redis instanceof Cluster) redis.on('-node', act);
}

/** One of the keys for each server that has some of them, and all that no server has. */
export function oneKeyEach(redis: RedisClient, keys: readonly string[]): string[] {
  const served = new Set<Redis>();
  return keys.filter((key) => {
    const server = serverOf(redis, key);
    if (server === null) return true;
    if (served.has(server)) return false;
    served.add(server);
    return true;
  });
}

/** Groups partitions so that one command can read all of a group: in a cluster each has a slot of its own. */
export function readTogether(redis: RedisClient, partitions: readonly string[]): [string, ...string[]][] {
  if (redis instanceof Cluster) return partitions.map((one) => [one]);
  const [first, ...others] = partitions;
  return first === undefined ? [] : [[first, ...others]];
}

/** Host and port of a server of a cluster, for messages. */
export function addressOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}
