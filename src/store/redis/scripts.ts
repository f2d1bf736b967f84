// Lua scripts as commands of a connection. Defined once per connection, when first needed there: from then on
// ioredis sends their digest alone, and the text again only to a Redis that does not know it.

import type { Redis } from 'ioredis';

/** A script, and how many of its arguments are keys; without it their number is the first argument. */
interface Script {
  lua: string;
  numberOfKeys?: number;
}

/**
 * @param scripts by the names of their commands. @typeParam Commands the commands as they are called; with
 *   `Buffer` behind its name, one answers in bytes.
 * @returns what gives a connection with these commands.
 */
export function defineScripts<Commands>(
  scripts: Readonly<Record<string, Script>>,
): (redis: Redis) => Commands {
  const prepared = new WeakSet<Redis>();
  return (redis) => {
    if (!prepared.has(redis)) {
      for (const [name, script] of Object.entries(scripts)) redis.defineCommand(name, script);
      prepared.add(redis);
    }
    return redis as Redis & Commands;
  };
}
