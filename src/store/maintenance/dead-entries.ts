// Dead entries: what cannot be processed is set aside in a stream of its partition, so that everything else goes on and
// nothing is lost. The operator inspects and replays it. The stream is bounded; when it is full, entries stay where they
// are. Kinds:
//
// - `outbox`: an outbox entry that cannot be turned into jobs, moved here unchanged.
// - `member`: a member of an index that is malformed, or of which a file is lost, moved here with its score.
// - `record`: a report that a record cannot be read. The record stays where it is.
//
// Entries of a newer format version are not dead: they wait in a separate stream for a process that can read them.

import { shortened } from '../../state/text/text.ts';
import type { Db } from '../redis/connection.ts';
import { PARTITIONS, partitionKeys } from '../redis/keys.ts';
import { partitionsWith, sumOfPartitions } from '../redis/partition-counts.ts';
import { defineScript } from '../redis/scripts.ts';

/** Most dead entries of a partition, and most entries of a newer format version. */
const MAX_DEAD = 10_000;
const MAX_NEWER = 100_000;

/** The consumer group of the relays. */
export const RELAY_GROUP = 'relay';

// Every entry starts with four fields: kind, name, reason, at. The fields of a moved entry follow unchanged.
// KEYS: outbox, destination stream. ARGV: group, id, most entries, reason, now.
const SET_ASIDE = `
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 0 end
local found = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if found then
  redis.call('XADD', KEYS[2], '*', 'kind', 'outbox', 'name', ARGV[2], 'reason', ARGV[4], 'at', ARGV[5], unpack(found[2]))
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
redis.call('XDEL', KEYS[1], ARGV[2])
return 1
`;

// KEYS: source stream, outbox. ARGV: id.
const BACK_TO_OUTBOX = `
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not found then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(found[2], 9))
redis.call('SPUBLISH', KEYS[2], '')
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
`;

// KEYS: dead entries, dead names. ARGV: name, reason, now, most entries.
const NOTE = `
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then return 0 end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
local id = redis.call('XADD', KEYS[1], '*', 'kind', 'record', 'name', ARGV[1], 'reason', ARGV[2], 'at', ARGV[3])
redis.call('HSET', KEYS[2], ARGV[1], id)
return 1
`;

// KEYS: dead entries, index. ARGV: member, score, reason, now, most entries.
const TAKE_OUT = `
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[5]) then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('XADD', KEYS[1], '*', 'kind', 'member', 'name', ARGV[1], 'reason', ARGV[3], 'at', ARGV[4], 'key', KEYS[2], 'score', score)
return 1
`;

// KEYS: dead entries, index. ARGV: id, score, member.
const BACK_TO_INDEX = `
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
return 1
`;

// KEYS: dead entries, dead names. ARGV: id, name.
const FORGET = `
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[1] then redis.call('HDEL', KEYS[2], ARGV[2]) end
return 1
`;

const setAside = defineScript<number>(SET_ASIDE);
const backToOutbox = defineScript<number>(BACK_TO_OUTBOX);
const noteDead = defineScript<number>(NOTE);
const takeOut = defineScript<number>(TAKE_OUT);
const backToIndex = defineScript<number>(BACK_TO_INDEX);
const forgetDead = defineScript<number>(FORGET);

/**
 * Moves an entry out of the outbox, unchanged.
 * @param where `dead` when it cannot be processed, `newer` when a newer process can read it.
 * @returns false when the stream is full; the entry then stays pending.
 */
export async function moveOutboxEntry(
  db: Db,
  partition: string,
  id: string,
  where: 'dead' | 'newer',
  reason: string,
): Promise<boolean> {
  const keys = partitionKeys(db.prefix, partition);
  const [stream, most] = where === 'dead' ? [keys.deadEntries, MAX_DEAD] : [keys.newerEntries, MAX_NEWER];
  const args = [RELAY_GROUP, id, most, shortened(reason, REASON), db.clock.now()];
  return (await setAside(db.redis, [keys.outbox, stream], args)) === 1;
}

/** Longest stored reason, characters. */
const REASON = 500;

/** Entries of a newer format version, at most `count`, after the id `after` (null: from the first). */
export async function newerEntries(
  db: Db,
  partition: string,
  after: string | null,
  count: number,
): Promise<{ id: string; fields: string[] }[]> {
  const { newerEntries: stream } = partitionKeys(db.prefix, partition);
  const found = await db.redis.xrange(stream, after === null ? '-' : `(${after}`, '+', 'COUNT', count);
  return found.map(([id, fields]) => ({ id, fields: fields.slice(HEAD) }));
}

/** Moves an entry of a newer format version back to the outbox. @returns false when another process has done it. */
export async function releaseNewer(db: Db, partition: string, id: string): Promise<boolean> {
  const keys = partitionKeys(db.prefix, partition);
  return (await backToOutbox(db.redis, [keys.newerEntries, keys.outbox], [id])) === 1;
}

/** Reports once that the record under `key` cannot be read. */
export async function addDeadRecord(db: Db, key: string, reason: string): Promise<void> {
  const [, partition = ''] = /\{(\w{3})\}/.exec(key) ?? [];
  if (!PARTITIONS.includes(partition)) return;
  const keys = partitionKeys(db.prefix, partition);
  const args = [key, shortened(reason, REASON), db.clock.now(), MAX_DEAD];
  await noteDead(db.redis, [keys.deadEntries, keys.deadNames], args);
}

/** When it was first reported that the record under `key` cannot be read, ms; null when there is no such report. */
export async function reportedAt(db: Db, partition: string, key: string): Promise<number | null> {
  const { deadEntries, deadNames } = partitionKeys(db.prefix, partition);
  const id = await db.redis.hget(deadNames, key);
  const [found] = id === null ? [] : await db.redis.xrange(deadEntries, id, id);
  return found === undefined ? null : readDead(partition, found).at;
}

/**
 * Moves a member that cannot be processed out of an index, unless its score has changed or there are too many dead entries.
 * @param reported key of the report about it, which the entry replaces. @returns whether it was moved
 */
export async function moveMemberToDead(
  db: Db,
  partition: string,
  index: string,
  member: { name: string | Buffer; score: number; reason: string },
  reported?: string,
): Promise<boolean> {
  const { deadEntries, deadNames } = partitionKeys(db.prefix, partition);
  const args = [member.name, member.score, shortened(member.reason, REASON), db.clock.now(), MAX_DEAD];
  if ((await takeOut(db.redis, [deadEntries, index], args)) === 0) return false;
  const id = reported === undefined ? null : await db.redis.hget(deadNames, reported);
  if (reported !== undefined && id !== null) await discardDead(db, { partition, id, name: reported });
  return true;
}

/** A dead entry. */
export interface DeadEntry {
  partition: string;
  /** Its id in the stream of its partition. */
  id: string;
  kind: string;
  /** Id of the outbox entry, the index member, or the key of the record. */
  name: string;
  reason: string;
  /** When it was set aside, ms. */
  at: number;
  /** Names and values of the moved fields, alternating; empty for kind `record`. */
  fields: string[];
}

/** Elements of an entry before the moved ones: four fields with their values. */
const HEAD = 8;

function readDead(partition: string, [id, fields]: [string, string[]]): DeadEntry {
  const [, kind = '', , name = '', , reason = '', , at] = fields;
  return { partition, id, kind, name, reason, at: Number(at), fields: fields.slice(HEAD) };
}

/** Dead entries by partition, oldest first, at most `count`. @param after the last one of the previous page. */
export async function listDead(
  db: Db,
  after: Pick<DeadEntry, 'partition' | 'id'> | null,
  count: number,
): Promise<DeadEntry[]> {
  const found: DeadEntry[] = [];
  const partitions = await partitionsWith(db, ({ deadEntries }) => [['XLEN', deadEntries]]);
  for (const partition of partitions) {
    if (after !== null && partition < after.partition) continue;
    if (found.length >= count) break;
    const from = partition === after?.partition ? `(${after.id}` : '-';
    const { deadEntries } = partitionKeys(db.prefix, partition);
    const page = await db.redis.xrange(deadEntries, from, '+', 'COUNT', count - found.length);
    found.push(...page.map((one) => readDead(partition, one)));
  }
  return found;
}

/** Loads a dead entry; null when there is none. */
export async function loadDead(db: Db, partition: string, id: string): Promise<DeadEntry | null> {
  const [found] = await db.redis.xrange(partitionKeys(db.prefix, partition).deadEntries, id, id);
  return found === undefined ? null : readDead(partition, found);
}

/**
 * Moves a dead entry back to where it came from; the report of a record is removed. What still cannot be processed becomes
 * a dead entry again. @returns false when it was replayed or removed already.
 */
export async function replayDead(db: Db, entry: DeadEntry): Promise<boolean> {
  const keys = partitionKeys(db.prefix, entry.partition);
  if (entry.kind === 'outbox')
    return (await backToOutbox(db.redis, [keys.deadEntries, keys.outbox], [entry.id])) === 1;
  const [, index, , score] = entry.fields;
  if (entry.kind === 'member' && index !== undefined && score !== undefined)
    return (await backToIndex(db.redis, [keys.deadEntries, index], [entry.id, score, entry.name])) === 1;
  return discardDead(db, entry);
}

/** Removes a dead entry permanently. @returns false when there is none. */
export async function discardDead(
  db: Db,
  { partition, id, name }: Pick<DeadEntry, 'partition' | 'id' | 'name'>,
): Promise<boolean> {
  const keys = partitionKeys(db.prefix, partition);
  return (await forgetDead(db.redis, [keys.deadEntries, keys.deadNames], [id, name])) === 1;
}

/** Number of dead entries, and of entries of a newer format version, in all partitions. */
export async function countSetAside(
  db: Pick<Db, 'redis' | 'prefix'>,
): Promise<{ dead: number; newer: number }> {
  const [dead, newer] = await Promise.all([
    sumOfPartitions(db, ({ deadEntries }) => ['XLEN', deadEntries]),
    sumOfPartitions(db, ({ newerEntries: stream }) => ['XLEN', stream]),
  ]);
  return { dead, newer };
}
