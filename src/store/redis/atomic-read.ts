// Several reads in one atomic step. Not a transaction (MULTI): a Redis at its memory limit refuses all commands in one, also
// those that only read.

import { defineScript } from './scripts.ts';
import type { RedisClient } from './servers.ts';

/** A command that reads one key: its name, the key, further arguments. */
export type Read = readonly [command: string, key: string, ...args: (string | number | Buffer)[]];

// ARGV: for each key the number of further arguments, the command, and these arguments.
const SCRIPT = `
local replies, at = {}, 1
for i = 1, #KEYS do
  local count = tonumber(ARGV[at])
  replies[i] = redis.pcall(ARGV[at + 1], KEYS[i], unpack(ARGV, at + 2, at + 1 + count))
  at = at + 2 + count
end
return replies
`;

const runReads = {
  utf8: defineScript<unknown[]>(SCRIPT),
  bytes: defineScript<unknown[]>(SCRIPT, null),
};

/**
 * Reads keys of one hash slot at the same moment.
 * @param encoding `bytes` for replies whose strings are Buffers.
 * @returns for each read a promise of its reply, as Redis sends it; it rejects when this read alone failed.
 * @throws the client's error in an outage.
 */
export async function atomicRead<const Reads extends readonly Read[]>(
  redis: RedisClient,
  reads: Reads,
  encoding: keyof typeof runReads = 'utf8',
): Promise<{ [At in keyof Reads]: Promise<unknown> }> {
  const replies = await runReads[encoding](
    redis,
    reads.map(([, key]) => key),
    reads.flatMap(([command, , ...args]) => [args.length, command, ...args]),
  );
  const answers = replies.map((reply) => {
    if (!(reply instanceof Error)) return Promise.resolve(reply);
    const failed = Promise.reject(reply);
    // Its reader may not get to it, when another read failed.
    failed.catch(() => undefined);
    return failed;
  });
  return answers as { [At in keyof Reads]: Promise<unknown> };
}
