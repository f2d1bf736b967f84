// Lua scripts as commands of a connection. They are defined once per connection, when first needed. ioredis then sends
// only the digest of a script, and its text again only to a Redis that does not know it.

import type { RedisClient } from './servers.ts';

/** A script and the number of its keys; without it, the number is the first argument of each call. */
interface Script {
  lua: string;
  numberOfKeys?: number;
}

/**
 * @param scripts by the names of their commands.
 * @typeParam Commands the signatures of the commands; one with `Buffer` after its name returns bytes.
 * @returns a function that adds these commands to a connection.
 */
export function defineScripts<Commands>(
  scripts: Readonly<Record<string, Script>>,
): (redis: RedisClient) => Commands {
  const prepared = new WeakSet<RedisClient>();
  return (redis) => {
    if (!prepared.has(redis)) {
      for (const [name, script] of Object.entries(scripts)) redis.defineCommand(name, script);
      prepared.add(redis);
    }
    return redis as RedisClient & Commands;
  };
}
