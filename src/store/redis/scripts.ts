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

/** What precedes an argument of so many bytes, as far as most are that short. */
const LENGTHS = Array.from({ length: 256 }, (_, bytes) => `\r\n$${bytes}\r\n`);

/**
 * A call of a script. ioredis would flatten the arguments, and join five texts for each: a quarter of the allocations of a
 * create, and five times the processor time of this encoding; with a packed task among them, three times.
 */
class ScriptCall extends Command {
  constructor(name: 'evalsha' | 'eval', args: Argument[], replyEncoding: 'utf8' | null) {
    super(name, [], { replyEncoding });
    this.args = args;
    this.stringifyArguments();
  }

  /** The command as a RESP array of bulk strings; as bytes if an argument is. */
  override toWritable(): string | Buffer {
    const args = this.args as (string | Buffer)[];
    if (args.every((arg) => typeof arg === 'string')) {
      // ASCII has as many bytes as UTF-16 units, and no other text has: counting once is cheaper than for each argument.
      const text = encoded(this.name, args, (arg) => arg.length);
      if (Buffer.byteLength(text) === text.length) return text;
    }
    return encoded(this.name, args, Buffer.byteLength);
  }
}

/** A command as a RESP array of bulk strings. @param bytesOf number of bytes of an argument */
function encoded(
  name: string,
  args: readonly (string | Buffer)[],
  bytesOf: (arg: string | Buffer) => number,
): string | Buffer {
  const parts: Buffer[] = [];
  let text = `*${args.length + 1}\r\n$${name.length}\r\n${name}`;
  for (const arg of args) {
    const bytes = bytesOf(arg);
    text += LENGTHS[bytes] ?? `\r\n$${bytes}\r\n`;
    if (typeof arg === 'string') text += arg;
    else {
      parts.push(Buffer.from(text), arg);
      text = '';
    }
  }
  text += '\r\n';
  return parts.length === 0 ? text : Buffer.concat([...parts, Buffer.from(text)]);
}

/**
 * @param replyEncoding of the strings in the reply; null for bytes.
 * @typeParam Reply what the script returns, as ioredis reads it.
 */
export function defineScript<Reply>(lua: string, replyEncoding: 'utf8' | null = 'utf8'): RunScript<Reply> {
  const digest = hash('sha1', lua);
  const send = (
    redis: RedisClient,
    name: 'evalsha' | 'eval',
    text: string,
    keys: readonly string[],
    args: readonly Argument[],
  ) => {
    const all = ([text, keys.length] as Argument[]).concat(keys, args);
    return redis.sendCommand(new ScriptCall(name, all, replyEncoding)) as Promise<Reply>;
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
