// The only way to change records: guards and writes in one Lua script (`commit-script.ts`). If every guard holds, all writes happen
// in one atomic step. If one fails, nothing is written, and the caller loads the records and decides again. The script knows
// keys and commands, but nothing about tasks.

import { carryOut } from './commit-script.ts';
import type { Clock } from './connection.ts';
import { dueArguments, NotDueError } from './due.ts';
import { confirmed } from './durability.ts';
import type { RedisClient } from './servers.ts';

/**
 * - `version`: the record (a hash) has this version in field `v`; 0: it must not exist. With `incarnation`, field `i`
 *   must have this value too: the record has not been removed and created again with the same id.
 * - `score`: the member has exactly this score in the sorted set; null: it is not in the set.
 * - `absent`: the key does not exist. · `present`: it does. · `value`: the string key holds exactly this.
 * - `members`: the set has exactly these members.
 * - `field`: the field of the hash holds exactly this; null: it is not there.
 * - `below_limit`: the sorted set has fewer than `limit` members, counted together with the sets `others`; for a plain
 *   set or a hash, `countWith` is `SCARD` or `HLEN`.
 * - `at_most`: the number in the field of the hash (absent: 0) is at most `limit`.
 * - `due`: the time `at` (ms) has come by Redis' clock, and that clock agrees with the process's; for irreversible
 *   changes. It must be last, so that a stale change is reported as such: a `due` guard that fails makes `commit` throw.
 *   Its key only selects the hash slot.
 */
export type Guard =
  | { kind: 'version'; key: string; version: number; incarnation?: string | undefined }
  | { kind: 'score'; key: string; member: string | Buffer; score: number | null }
  | { kind: 'absent' | 'present'; key: string }
  | { kind: 'members'; key: string; members: readonly string[] }
  | { kind: 'value'; key: string; value: string }
  | { kind: 'field'; key: string; field: string; value: Buffer | string | null }
  | {
      kind: 'below_limit';
      key: string;
      others?: readonly string[];
      countWith?: 'SCARD' | 'HLEN';
      limit: number;
    }
  | { kind: 'at_most'; key: string; field: string; limit: number }
  | { kind: 'due'; key: string; at: number; clock: Clock };

/** What must hold, and what is written then: a commit, or a part of one. */
export interface Change {
  readonly guards: readonly Guard[];
  readonly writes: readonly Write[];
}

/** A change without guards and writes. */
export const EMPTY_CHANGE: Change = { guards: [], writes: [] };

/** All of these as one change. */
export function merge(...changes: readonly Change[]): Change {
  const guards: Guard[] = [];
  const writes: Write[] = [];
  for (const one of changes) {
    guards.push(...one.guards);
    writes.push(...one.writes);
  }
  return { guards, writes };
}

/** A Redis command whose first argument is its key (or, for SPUBLISH, its channel). */
export type Write = readonly [command: string, key: string, ...args: (string | number | Buffer)[]];

/**
 * Runs all writes of a change in one atomic step if all its guards hold.
 * @returns false when a guard failed; then nothing was written.
 * @throws NotDueError when a `due` guard failed; then nothing was written either.
 * @throws UnconfirmedError when not all replicas have the writes in time, if they must.
 * @throws the client's error in an outage, or when Redis refuses the write (for instance at its memory limit).
 */
export async function commit(redis: RedisClient, { guards, writes }: Change): Promise<boolean> {
  const keys: string[] = [];
  const args: (string | number | Buffer)[] = [guards.length];
  // One command checks all keys that must be absent.
  for (const { kind, key } of guards) if (kind === 'absent') keys.push(key);
  if (keys.length > 0) args.push('absent', keys.length);
  for (let more = keys.length - 1; more > 0; more -= 1) args.push('counted');
  for (const guard of guards) {
    if (guard.kind === 'absent') continue;
    // Sets that are counted together precede the key that has the limit.
    if (guard.kind === 'below_limit')
      for (const other of guard.others ?? []) {
        keys.push(other);
        args.push('count');
      }
    keys.push(guard.key);
    switch (guard.kind) {
      case 'version':
        if (guard.incarnation === undefined) args.push('version', guard.version);
        else args.push('incarnation', guard.version, guard.incarnation);
        break;
      case 'score':
        if (guard.score === null) args.push('unlisted', guard.member);
        else args.push('score', guard.member, guard.score);
        break;
      case 'present':
        args.push('present');
        break;
      case 'members':
        args.push('members', guard.members.length, ...guard.members);
        break;
      case 'value':
        args.push('value', guard.value);
        break;
      case 'field':
        if (guard.value === null) args.push('no_field', guard.field);
        else args.push('field', guard.field, guard.value);
        break;
      case 'below_limit':
        args.push('below_limit', guard.countWith ?? 'ZCARD', guard.limit);
        break;
      case 'at_most':
        args.push('at_most', guard.field, guard.limit);
        break;
      case 'due':
        args.push('due', ...dueArguments(guard.clock, guard.at));
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
    } while (next !== undefined && differsOnlyInKey(write, next));
    if (at - first > 1) args.push(first - at);
    args.push(write.length - 2, write[0]);
    for (let index = 2; index < write.length; index += 1) {
      const arg = write[index];
      if (arg === undefined)
        throw new TypeError(`${write[0]} of ${write[1]} has an argument without a value`);
      args.push(arg);
    }
  }
  const answer = await confirmed(
    redis,
    keys[0] ?? '',
    (on) => carryOut(on, keys, args),
    (result) => result === 1,
  );
  if (answer < 0) throw new NotDueError(-answer);
  return answer === 1;
}

/** Whether two writes differ only in their key, such as those to the indexes of a task. */
function differsOnlyInKey(one: Write, other: Write): boolean {
  if (one.length !== other.length || one[0] !== other[0]) return false;
  for (let index = 2; index < one.length; index += 1) if (one[index] !== other[index]) return false;
  return true;
}
