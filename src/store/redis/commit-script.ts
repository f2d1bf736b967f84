// Carries out commits in Redis. Those that a process makes in one turn of the event loop, with keys in one slot, share a call of
// the script: that saves a tenth of the time that Redis takes for each, and a quarter of what the process needs to send it. Each
// is carried out as if it were alone: it has its own guards and its own reply, and one that is refused or fails changes nothing of
// the others.

import { DUE_LUA } from './due.ts';
import { defineScript } from './scripts.ts';
import type { RedisClient } from './servers.ts';

/** Most commits in a call, which take Redis less than 2 ms, as it does nothing else meanwhile. */
const MOST_COMMITS = 16;
/** A call is full with so many characters and bytes of arguments; a single commit may have more. */
const MOST_BYTES = 128 * 1024;

// KEYS: of each commit the key of each guard, then the key of each write. ARGV: for each commit the number of its keys, the number
// of its arguments, and these: number of guards; for each guard its kind and its arguments; for each write the number of its
// arguments, the command, and the arguments. A negative number -n before a write applies it to the next n keys. Returns for each
// commit 1 when written, 0 when a guard failed, minus the time of Redis (ms) when a `due` guard failed, or the error of one of its
// commands. Guard kinds of the script that `Guard` does not name:
// - `incarnation`: a `version` with an incarnation
// - `unlisted`: a `score` null
// - `no_field`: a `field` null
// - `absent` with a count: checks that many keys at once
// - `counted`: its key was already checked by the preceding `absent`
// - `count`: adds one of the sets `others` to the count of the following `below_limit`
const SCRIPT = `${DUE_LUA}
-- A commit whose keys are those after the first k, and whose arguments start at a.
local function carryOut(k, keyCount, a)
  local at, guards = a + 1, tonumber(ARGV[a])
  local counted = 0
  for i = k + 1, k + guards do
    local kind, key = ARGV[at], KEYS[i]
    if kind == 'version' then
      if (redis.call('HGET', key, 'v') or '0') ~= ARGV[at + 1] then return 0 end
      at = at + 2
    elseif kind == 'incarnation' then
      local found = redis.call('HMGET', key, 'v', 'i')
      if (found[1] or '0') ~= ARGV[at + 1] or (found[2] or '') ~= ARGV[at + 2] then return 0 end
      at = at + 3
    elseif kind == 'present' then
      if redis.call('EXISTS', key) == 0 then return 0 end
      at = at + 1
    elseif kind == 'members' then
      local count = tonumber(ARGV[at + 1])
      if redis.call('SCARD', key) ~= count then return 0 end
      for index = at + 2, at + 1 + count do
        if redis.call('SISMEMBER', key, ARGV[index]) == 0 then return 0 end
      end
      at = at + 2 + count
    elseif kind == 'score' then
      local score = redis.call('ZSCORE', key, ARGV[at + 1])
      if not score or tonumber(score) ~= tonumber(ARGV[at + 2]) then return 0 end
      at = at + 3
    elseif kind == 'unlisted' then
      if redis.call('ZSCORE', key, ARGV[at + 1]) then return 0 end
      at = at + 2
    elseif kind == 'absent' then
      local count = tonumber(ARGV[at + 1])
      if redis.call('EXISTS', unpack(KEYS, i, i + count - 1)) > 0 then return 0 end
      at = at + 2
    elseif kind == 'counted' then
      at = at + 1
    elseif kind == 'field' then
      if redis.call('HGET', key, ARGV[at + 1]) ~= ARGV[at + 2] then return 0 end
      at = at + 3
    elseif kind == 'no_field' then
      if redis.call('HEXISTS', key, ARGV[at + 1]) == 1 then return 0 end
      at = at + 2
    elseif kind == 'count' then
      counted = counted + redis.call('ZCARD', key)
      at = at + 1
    elseif kind == 'below_limit' then
      if counted + redis.call(ARGV[at + 1], key) >= tonumber(ARGV[at + 2]) then return 0 end
      counted = 0
      at = at + 3
    elseif kind == 'at_most' then
      if tonumber(redis.call('HGET', key, ARGV[at + 1]) or '0') > tonumber(ARGV[at + 2]) then return 0 end
      at = at + 3
    elseif kind == 'due' then
      local time = notDue(ARGV[at + 1], ARGV[at + 2])
      if time then return -time end
      at = at + 3
    else
      if redis.call('GET', key) ~= ARGV[at + 1] then return 0 end
      at = at + 2
    end
  end
  local done, last = k + guards, k + keyCount
  while done < last do
    local keys, count = 1, tonumber(ARGV[at])
    if count < 0 then
      keys, at = -count, at + 1
      count = tonumber(ARGV[at])
    end
    for i = done + 1, done + keys do redis.call(ARGV[at + 1], KEYS[i], unpack(ARGV, at + 2, at + 1 + count)) end
    done, at = done + keys, at + 2 + count
  end
  return 1
end

local replies, k, a = {}, 0, 1
while a <= #ARGV do
  local keyCount, argCount = tonumber(ARGV[a]), tonumber(ARGV[a + 1])
  local ran, reply = pcall(carryOut, k, keyCount, a + 2)
  if not ran then
    reply = {err = type(reply) == 'table' and reply.err or reply}
    -- No other has written anything either, and the client leaves the server only for an error of the whole call.
    if string.sub(reply.err, 1, 8) == 'READONLY' then return reply end
  end
  replies[#replies + 1] = reply
  k, a = k + keyCount, a + 2 + argCount
end
return replies
`;

type Argument = string | number | Buffer;

const runCommits = defineScript<(number | Error)[]>(SCRIPT);

/** The commits of a call that has not been sent yet. */
class Call {
  readonly #keys: string[] = [];
  readonly #args: Argument[] = [];
  readonly #settle: ((reply: number | Error) => void)[] = [];
  #bytes = 0;

  get isFull(): boolean {
    return this.#settle.length === MOST_COMMITS || this.#bytes >= MOST_BYTES;
  }

  add(keys: readonly string[], args: readonly Argument[], settle: (reply: number | Error) => void): void {
    this.#args.push(keys.length, args.length);
    for (const key of keys) this.#keys.push(key);
    for (const arg of args) {
      this.#args.push(arg);
      if (typeof arg !== 'number') this.#bytes += arg.length;
    }
    this.#settle.push(settle);
  }

  async send(redis: RedisClient): Promise<void> {
    try {
      const replies = await runCommits(redis, this.#keys, this.#args);
      for (const [at, settle] of this.#settle.entries())
        settle(replies[at] ?? new Error('a commit has got no reply'));
    } catch (error) {
      for (const settle of this.#settle) settle(error as Error);
    }
  }
}

/** The calls of this turn of the event loop that still take commits, by the hash tag of their keys. */
const open = new WeakMap<RedisClient, Map<string, Call>>();

/**
 * Carries out a commit.
 * @param keys of one hash slot: of each guard, then of each write. @param args as the script reads them.
 * @returns 1 when written, 0 when a guard failed, minus the time of Redis (ms) when a `due` guard failed.
 * @throws the client's error in an outage, and those of its commands.
 */
export function carryOut(
  redis: RedisClient,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<number> {
  return new Promise((resolve, reject) => {
    const tag = hashTag(keys[0] ?? '');
    const call = callFor(redis, tag);
    call.add(keys, args, (reply) => (reply instanceof Error ? reject(reply) : resolve(reply)));
    if (call.isFull) {
      open.get(redis)?.delete(tag);
      void call.send(redis);
    }
  });
}

/** The call that takes the next commit. */
function callFor(redis: RedisClient, tag: string): Call {
  let calls = open.get(redis);
  if (calls === undefined) {
    calls = new Map();
    open.set(redis, calls);
    // After all promises that can go on now.
    process.nextTick(() => sendAll(redis));
  }
  const call = calls.get(tag) ?? new Call();
  calls.set(tag, call);
  return call;
}

function sendAll(redis: RedisClient): void {
  const calls = open.get(redis);
  open.delete(redis);
  for (const call of calls?.values() ?? []) void call.send(redis);
}

/** The part of a key that decides on its slot: keys with the same hash tag have the same slot. */
function hashTag(key: string): string {
  const start = key.indexOf('{');
  const end = key.indexOf('}', start);
  return start === -1 || end <= start + 1 ? key : key.slice(start, end);
}
