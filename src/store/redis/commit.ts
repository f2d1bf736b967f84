// The one way to write: guards and writes in one Lua script. When every guard holds, all writes happen in
// one atomic step; when one does not, nothing happens and the caller loads again and decides anew. The
// script knows keys and commands, nothing of tasks.

import type { Redis } from 'ioredis';
import type { Clock } from './connection.ts';
import { DUE_LUA, dueArguments, NotDueError } from './due.ts';
import { defineScripts } from './scripts.ts';

/**
 * - `version`: the record (a hash) has this version in field `v`; 0 says that it must not exist. With `incarnation`,
 *   it is also the one that was loaded and no later one of the same id (field `i`, see `store/redis/records.ts`).
 * - `score`: the member has this score in the sorted set, bit for bit; null: it is not in the set.
 * - `absent`: the key does not exist. · `present`: it does. · `value`: the string key holds exactly this.
 * - `members`: the set has exactly these members.
 * - `field`: the field of the hash holds exactly this; null: it is not there.
 * - `room`: the sorted set, together with `others`, or the set (`of`), has fewer than so many members.
 * - `at_most`: the field of the hash, 0 where it is not there, is at most this.
 * - `due`: it is `at` (ms) by Redis' own clock at this very moment, and that clock agrees with the process'; for what
 *   cannot be undone. It belongs behind the other guards. The key only says where.
 */
export type Guard =
  | { kind: 'version'; key: string; version: number; incarnation?: string | undefined }
  | { kind: 'score'; key: string; member: string; score: number | null }
  | { kind: 'absent' | 'present'; key: string }
  | { kind: 'members'; key: string; members: readonly string[] }
  | { kind: 'value'; key: string; value: string }
  | { kind: 'field'; key: string; field: string; value: Buffer | string | null }
  | { kind: 'room'; key: string; others?: readonly string[]; of?: 'SCARD'; most: number }
  | { kind: 'at_most'; key: string; field: string; most: number }
  | { kind: 'due'; key: string; at: number; clock: Clock };

/** What must hold, and what is written then: a commit, or a part of one. */
export interface Change {
  readonly guards: readonly Guard[];
  readonly writes: readonly Write[];
}

/** A part that guards nothing and writes nothing. */
export const NO_CHANGE: Change = { guards: [], writes: [] };

/** All of these as one change. */
export function merge(...changes: readonly Change[]): Change {
  return {
    guards: changes.flatMap((one) => one.guards),
    writes: changes.flatMap((one) => one.writes),
  };
}

/** A Redis command whose first argument is its key (or, for PUBLISH, its channel). */
export type Write = readonly [command: string, key: string, ...args: (string | number | Buffer)[]];

// KEYS: the key of each guard, then of each write. ARGV: how many guards; each one's kind and what it needs; then of
// each write how many arguments it has, the command, and those. Before one that is for several keys in a row stands
// minus how many they are.
const SCRIPT = `${DUE_LUA}
local at, guards = 2, tonumber(ARGV[1])
local counted = 0
for i = 1, guards do
  local kind, key = ARGV[at], KEYS[i]
  if kind == 'v' then
    if (redis.call('HGET', key, 'v') or '0') ~= ARGV[at + 1] then return 0 end
    at = at + 2
  elseif kind == 'i' then
    local found = redis.call('HMGET', key, 'v', 'i')
    if (found[1] or '0') ~= ARGV[at + 1] or (found[2] or '') ~= ARGV[at + 2] then return 0 end
    at = at + 3
  elseif kind == 'p' then
    if redis.call('EXISTS', key) == 0 then return 0 end
    at = at + 1
  elseif kind == 'm' then
    local count = tonumber(ARGV[at + 1])
    if redis.call('SCARD', key) ~= count then return 0 end
    for index = at + 2, at + 1 + count do
      if redis.call('SISMEMBER', key, ARGV[index]) == 0 then return 0 end
    end
    at = at + 2 + count
  elseif kind == 's' then
    local score = redis.call('ZSCORE', key, ARGV[at + 1])
    if not score or tonumber(score) ~= tonumber(ARGV[at + 2]) then return 0 end
    at = at + 3
  elseif kind == 'u' then
    if redis.call('ZSCORE', key, ARGV[at + 1]) then return 0 end
    at = at + 2
  elseif kind == 'a' then
    if redis.call('EXISTS', key) == 1 then return 0 end
    at = at + 1
  elseif kind == 'f' then
    if redis.call('HGET', key, ARGV[at + 1]) ~= ARGV[at + 2] then return 0 end
    at = at + 3
  elseif kind == 'n' then
    if redis.call('HEXISTS', key, ARGV[at + 1]) == 1 then return 0 end
    at = at + 2
  elseif kind == 'c' then
    counted = counted + redis.call('ZCARD', key)
    at = at + 1
  elseif kind == 'r' then
    if counted + redis.call(ARGV[at + 1], key) >= tonumber(ARGV[at + 2]) then return 0 end
    counted = 0
    at = at + 3
  elseif kind == 'l' then
    if tonumber(redis.call('HGET', key, ARGV[at + 1]) or '0') > tonumber(ARGV[at + 2]) then return 0 end
    at = at + 3
  elseif kind == 'd' then
    local time = notDue(ARGV[at + 1], ARGV[at + 2])
    if time then return -time end
    at = at + 3
  else
    if redis.call('GET', key) ~= ARGV[at + 1] then return 0 end
    at = at + 2
  end
end
local done = guards
while done < #KEYS do
  local keys, count = 1, tonumber(ARGV[at])
  if count < 0 then
    keys, at = -count, at + 1
    count = tonumber(ARGV[at])
  end
  for i = done + 1, done + keys do redis.call(ARGV[at + 1], KEYS[i], unpack(ARGV, at + 2, at + 1 + count)) end
  done, at = done + keys, at + 2 + count
end
return 1
`;

const withScript = defineScripts<{
  biolayerCommit(args: readonly (string | number | Buffer)[]): Promise<number>;
}>({ biolayerCommit: { lua: SCRIPT } });

/**
 * Runs all writes of a change in one atomic step if all its guards hold.
 * @returns false when a guard did not hold; then nothing was written.
 * @throws NotDueError when all guards held but a `due`; nothing was written either.
 * @throws the client's error when Redis is away or refuses (for instance at its memory limit).
 */
export async function commit(redis: Redis, { guards, writes }: Change): Promise<boolean> {
  const keys: string[] = [];
  const args: (string | number | Buffer)[] = [guards.length];
  for (const guard of guards) {
    // Those that are counted together stand one behind the other.
    if (guard.kind === 'room')
      for (const other of guard.others ?? []) {
        keys.push(other);
        args.push('c');
      }
    keys.push(guard.key);
    switch (guard.kind) {
      case 'version':
        if (guard.incarnation === undefined) args.push('v', guard.version);
        else args.push('i', guard.version, guard.incarnation);
        break;
      case 'score':
        if (guard.score === null) args.push('u', guard.member);
        else args.push('s', guard.member, guard.score);
        break;
      case 'absent':
        args.push('a');
        break;
      case 'present':
        args.push('p');
        break;
      case 'members':
        args.push('m', guard.members.length, ...guard.members);
        break;
      case 'value':
        args.push('g', guard.value);
        break;
      case 'field':
        if (guard.value === null) args.push('n', guard.field);
        else args.push('f', guard.field, guard.value);
        break;
      case 'room':
        args.push('r', guard.of ?? 'ZCARD', guard.most);
        break;
      case 'at_most':
        args.push('l', guard.field, guard.most);
        break;
      case 'due':
        args.push('d', ...dueArguments(guard.clock, guard.at));
        break;
    }
  }
  args[0] = keys.length;
  for (let at = 0, write = writes[0]; write !== undefined; write = writes[at]) {
    const first = at;
    let next: Write | undefined = write;
    do {
      keys.push(next[1]);
      at += 1;
      next = writes[at];
    } while (next !== undefined && isSame(write, next));
    if (at - first > 1) args.push(first - at);
    args.push(write.length - 2, write[0]);
    for (let index = 2; index < write.length; index += 1) args.push(write[index] ?? '');
  }
  const answer = await withScript(redis).biolayerCommit([keys.length, ...keys, ...args]);
  if (answer < 0) throw new NotDueError(-answer);
  return answer === 1;
}

/** Whether the writes are the same but for their key: as many as a task has indexes, for one. */
function isSame(one: Write, other: Write): boolean {
  if (one.length !== other.length || one[0] !== other[0]) return false;
  for (let index = 2; index < one.length; index += 1) if (one[index] !== other[index]) return false;
  return true;
}
