// Where it is recorded when a finished task, or its history alone, is purged: in the sorted set `purges`, as 16 bytes of the id of the
// task, 14 or 16 of the org, and a byte of flags unless it is 0. An id with the number of its partition has 14: the digit of its
// version and that number follow from the partition. With 30 bytes the text of a member fits into 32, with one more it takes 48.
//
// Earlier versions recorded it in the set `retain`, as `<org> <task>[ log]`: 48 bytes more for each task, and one of their processes
// would set bytes in that set aside as malformed. What has ids of another form is still recorded so.

import { modeOf, orgOf, tenantOf } from '../../state/access/tenant.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { digitsOf, isUuid, numberedId, uuidOf } from '../redis/ids.ts';
import { numberedPartition, orgKeysOf, PARTITIONS, partitionKeys } from '../redis/keys.ts';

/** What is to be purged. */
export interface Purge {
  /** The tenant. */
  org_id: string;
  task_id: string;
  /** Its history alone. */
  log: boolean;
}

/** A member of one of the two sorted sets. */
export interface RetentionEntry {
  key: string;
  member: string | Buffer;
}

const UUID_BYTES = 16;
/** Digits before that of the version, and of the number at the end. */
const BEFORE_VERSION = 12;
const NUMBER_DIGITS = 3;
/** The digit of the version and the number. */
const OMITTED_BYTES = 2;
/** Part of the data layout: the flags of a member. */
const OF_SANDBOX = 1;
const LOG_ALONE = 2;

/** The entries that a purge may have, the one that is written now first. */
export function retentionEntries(
  db: Pick<Db, 'prefix'>,
  of: Purge,
): readonly [RetentionEntry, ...RetentionEntry[]] {
  const { purges, retain } = orgKeysOf(db.prefix, of.org_id);
  const text = { key: retain, member: textOf(of) };
  const member = bytesOf(of);
  return member === null ? [text] : [{ key: purges, member }, text];
}

/** The entry that is written now. */
export function retentionEntry(db: Pick<Db, 'prefix'>, of: Purge): RetentionEntry {
  return retentionEntries(db, of)[0];
}

/** The writes that remove the entries of a purge, in whichever form they are. */
export function retentionRemovals(db: Pick<Db, 'prefix'>, of: Purge): Write[] {
  return retentionEntries(db, of).map(({ key, member }): Write => ['ZREM', key, member]);
}

/** When tasks of an org are purged, or their histories alone, ms; null for one of which nothing says so. */
export async function purgeTimesOf(
  db: Db,
  orgId: string,
  ids: readonly string[],
  log = false,
): Promise<(number | null)[]> {
  if (ids.length === 0) return [];
  const { purges, retain } = orgKeysOf(db.prefix, orgId);
  const all = ids.map((task_id): Purge => ({ org_id: orgId, task_id, log }));
  const [bytes, texts] = await Promise.all([
    db.redis.zmscore(purges, ...all.map((one) => bytesOf(one) ?? '')),
    db.redis.zmscore(retain, ...all.map(textOf)),
  ]);
  return all.map((_, at) => {
    const time = bytes[at] ?? texts[at] ?? null;
    return time === null ? null : Number(time);
  });
}

/** Null when the ids are no UUIDs. */
function bytesOf({ org_id, task_id, log }: Purge): Buffer | null {
  const org = orgOf(org_id);
  if (!isUuid(org) || !isUuid(task_id)) return null;
  const flags = (modeOf(org_id) === 'test' ? OF_SANDBOX : 0) | (log ? LOG_ALONE : 0);
  return Buffer.from(digitsOf(task_id) + shortDigitsOf(org) + (flags === 0 ? '' : `0${flags}`), 'hex');
}

/** The digits of an org's id without those that follow from its partition, if there are any. */
function shortDigitsOf(org: string): string {
  const digits = digitsOf(org);
  if (numberedPartition(org) === undefined) return digits;
  return digits.slice(0, BEFORE_VERSION) + digits.slice(BEFORE_VERSION + 1, -NUMBER_DIGITS);
}

/** The id of the org of a partition from its digits without those. */
function fromShortDigits(digits: string, partition: string): string {
  const filled = `${digits.slice(0, BEFORE_VERSION)}0${digits.slice(BEFORE_VERSION)}${'0'.repeat(NUMBER_DIGITS)}`;
  return numberedId(uuidOf(filled), PARTITIONS.indexOf(partition));
}

function textOf({ org_id, task_id, log }: Purge): string {
  return `${org_id} ${task_id}${log ? ' log' : ''}`;
}

/** Reads a member of the set `purges` of a partition; null when it is malformed. */
export function readPurge(member: Buffer, partition: string): Purge | null {
  const isShort = member.length < 2 * UUID_BYTES;
  const end = 2 * UUID_BYTES - (isShort ? OMITTED_BYTES : 0);
  const [flags = 0, ...more] = member.subarray(end);
  if (member.length < end || more.length > 0 || flags > (OF_SANDBOX | LOG_ALONE)) return null;
  const org = member.toString('hex', UUID_BYTES, end);
  const org_id = isShort ? fromShortDigits(org, partition) : uuidOf(org);
  return {
    org_id: tenantOf(org_id, flags & OF_SANDBOX ? 'test' : 'live'),
    task_id: uuidOf(member.toString('hex', 0, UUID_BYTES)),
    log: (flags & LOG_ALONE) !== 0,
  };
}

/** Reads a member of the set `retain`; null when it is malformed. */
export function readTextPurge(member: string): Purge | null {
  const [, org_id = '', task_id = '', log] = /^(\S+) (\S+)( log)?$/.exec(member) ?? [];
  return org_id === '' ? null : { org_id, task_id, log: log !== undefined };
}

/** Reads which tasks a partition's sets say are due, the earliest first, at most `count` of each. */
export async function dueEntries(
  db: Db,
  partition: string,
  count: number,
): Promise<(RetentionEntry & { at: number; purge: Purge | null })[]> {
  const { purges, retain } = partitionKeys(db.prefix, partition);
  const range = [0, db.clock.now(), 'WITHSCORES', 'LIMIT', 0, count] as const;
  const [bytes, texts] = await Promise.all([
    db.redis.zrangebyscoreBuffer(purges, ...range),
    db.redis.zrangebyscore(retain, ...range),
  ]);
  const found = [
    ...pairsOf(bytes).map(([member, at]) => ({
      key: purges,
      member,
      at,
      purge: readPurge(member, partition),
    })),
    ...pairsOf(texts).map(([member, at]) => ({ key: retain, member, at, purge: readTextPurge(member) })),
  ];
  return found.sort((one, other) => one.at - other.at);
}

/** Members with their scores, from a reply that alternates. */
function pairsOf<T extends string | Buffer>(flat: readonly T[]): [member: T, score: number][] {
  return flat.flatMap((one, at) =>
    at % 2 === 0 ? [[one, Number(String(flat[at + 1]))] as [T, number]] : [],
  );
}
