// Lua scripts. Redis is sent the digest of a script, and its text only when it does not know the script yet.

import { hash } from 'node:crypto';
import { Command } from 'ioredis';
import type { RedisClient } from './servers.ts';

type Argument = string | number | Buffer;

/**
 * Runs a script.
 * @param keys of one hash slot.
 * @throws the client's error in an outage, and errors of the script.
 */
export type RunScript<Reply> = (
  redis: RedisClient,
  keys: readonly string[],
  args: readonly Argument[],
) => Promise<Reply>;

/** ioredis flattens the arguments of each command, which costs as much as encoding them. These are flat. */
class FlatArguments extends Array<Argument> {
  override flat(): never[] {
    return this as unknown as never[];
  }
}

/**
 * @param replyEncoding of the strings in the reply; null for bytes.
 * @typeParam Reply what the script returns, as ioredis reads it.
 */
export function defineScript<Reply>(lua: string, replyEncoding: 'utf8' | null = 'utf8'): RunScript<Reply> {
  const digest = hash('sha1', lua);
  const send = (
    redis: RedisClient,
    name: string,
    text: string,
    keys: readonly string[],
    args: readonly Argument[],
  ) => {
    const all = new FlatArguments();
    all.push(text, keys.length);
    for (const key of keys) all.push(key);
    for (const arg of args) all.push(arg);
    return redis.sendCommand(new Command(name, all, { replyEncoding })) as Promise<Reply>;
  };
  return async (redis, keys, args) => {
    try {
      return await send(redis, 'evalsha', digest, keys, args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return send(redis, 'eval', lua, keys, args);
    }
  };
}
