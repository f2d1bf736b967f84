// Counts something in many partitions with one command for each server, so that looking for work costs little where there is
// none. The script reads keys of several slots, which all are on the server that runs it.

import { Cluster, type Redis } from 'ioredis';
import type { Db } from './connection.ts';
import { PARTITIONS, type PartitionKeys, partitionKeys } from './keys.ts';
import { defineScript } from './scripts.ts';
import { byServer } from './servers.ts';

/** A command that replies with a number, and whose keys are of one partition. */
export type CountCommand = readonly [command: string, ...args: (string | number)[]];

/** Stands for the partition in the words of a command. */
const ANY = '*';

// ARGV: 1 when a command may have keys of several partitions, else 0; the number of commands; for each the number of its words, and
// the words; then the partitions. Returns for each partition the sum of the replies, or -1 when one of them is an error: a key of
// another type, or of a slot that another server has. Partitions without the keys of a command are found together, so that they
// cost no command each.
const COUNT = `#!lua flags=no-writes,allow-cross-slot-keys
local commands, at = {}, 3
for n = 1, tonumber(ARGV[2]) do
  local words, keys = {}, {}
  for index = at + 1, at + tonumber(ARGV[at]) do
    local word = ARGV[index]
    local tag = string.find(word, '{*}', 1, true)
    words[#words + 1] = word
    if tag then keys[#keys + 1] = {#words, string.sub(word, 1, tag), string.sub(word, tag + 2)} end
  end
  commands[n], at = {words = words, keys = keys}, at + 1 + #words
end
local function addKeys(to, keys, first, last)
  for index = first, last do
    for _, key in ipairs(keys) do to[#to + 1] = key[2] .. ARGV[index] .. key[3] end
  end
  return to
end
local function addAll(to, first, last)
  for index = first, last do to[index] = true end
end
-- The partitions in which streams have entries.
local function addFilled(to, keys, first, last)
  local words = addKeys({'XREAD', 'COUNT', 1, 'STREAMS'}, keys, first, last)
  local indexOf = {}
  for index = first, last do
    indexOf[words[5 + index - first]] = index
    words[#words + 1] = '0'
  end
  local filled = redis.pcall(unpack(words))
  if filled and filled.err then return addAll(to, first, last) end
  for _, stream in ipairs(filled or {}) do to[indexOf[stream[1]]] = true end
end
-- The partitions in which keys exist, and some others where that takes fewer commands.
local function addUsed(to, keys, first, last)
  local count = redis.call('EXISTS', unpack(addKeys({}, keys, first, last)))
  if count == 0 then return end
  if count * 4 > last - first then return addAll(to, first, last) end
  local middle = math.floor((first + last) / 2)
  addUsed(to, keys, first, middle)
  addUsed(to, keys, middle + 1, last)
end
local sums = {}
for index = at, #ARGV do sums[index - at + 1] = 0 end
for _, command in ipairs(commands) do
  local add = ARGV[1] == '0' and function(to, _, first, last) addAll(to, first, last) end
    or (command.words[1] == 'XLEN' and addFilled or addUsed)
  local asked = {}
  if at <= #ARGV then add(asked, command.keys, at, #ARGV) end
  for index in pairs(asked) do
    for _, key in ipairs(command.keys) do command.words[key[1]] = key[2] .. ARGV[index] .. key[3] end
    local count, sum = redis.pcall(unpack(command.words)), sums[index - at + 1]
    sums[index - at + 1] = (sum < 0 or type(count) ~= 'number') and -1 or sum + count
  end
end
return sums
`;

const runCount = defineScript<number[]>(COUNT);

/**
 * Sums up the replies of some commands in each partition.
 * @returns in the order of `partitions`; null where a command failed, or the server does not answer.
 * @throws the client's error in an outage, unless Redis is a cluster
 */
export async function countInPartitions(
  { redis, prefix }: Pick<Db, 'redis' | 'prefix'>,
  partitions: readonly string[],
  commandsOf: (keys: PartitionKeys) => readonly CountCommand[],
): Promise<(number | null)[]> {
  const commands = commandsOf(partitionKeys(prefix, ANY));
  // In a cluster, a command of a script may have keys of one slot only.
  const isTogether = redis instanceof Cluster ? 0 : 1;
  const words = [isTogether, commands.length, ...commands.flatMap((one) => [one.length, ...one])];
  const count = (on: Redis, all: readonly string[]) => runCount(on, [], [...words, ...all]);
  const counts = new Map<string, number>();
  const groups = byServer(redis, partitions, (one) => partitionKeys(prefix, one).outbox);
  await Promise.all(
    [...groups].map(async ([server, all]) => {
      // Commands on a node of a cluster do not wait until it is back.
      const sums = await (redis instanceof Cluster ? count(server, all).catch(() => []) : count(server, all));
      for (const [index, sum] of sums.entries()) if (sum >= 0) counts.set(all[index] ?? '', sum);
    }),
  );
  return partitions.map((one) => counts.get(one) ?? null);
}

/**
 * The partitions where one of the commands replies with more than 0, and those where that is not known.
 * @param partitions those that are asked; all by default.
 */
export async function partitionsWith(
  db: Pick<Db, 'redis' | 'prefix'>,
  commandsOf: (keys: PartitionKeys) => readonly CountCommand[],
  partitions: readonly string[] = PARTITIONS,
): Promise<string[]> {
  const counts = await countInPartitions(db, partitions, commandsOf);
  return partitions.filter((_, index) => counts[index] !== 0);
}

/** The sum of what a command replies in all partitions. @throws the error of a command */
export async function sumOfPartitions(
  db: Pick<Db, 'redis' | 'prefix'>,
  commandOf: (keys: PartitionKeys) => CountCommand,
): Promise<number> {
  const counts = await countInPartitions(db, PARTITIONS, (keys) => [commandOf(keys)]);
  const all = await Promise.all(
    counts.map((count, index) => {
      // Where the slot has just moved, the connection follows it.
      const [command, ...args] = commandOf(partitionKeys(db.prefix, PARTITIONS[index] ?? ''));
      return count ?? db.redis.call(command, args);
    }),
  );
  return all.reduce<number>((sum, one) => sum + Number(one), 0);
}
