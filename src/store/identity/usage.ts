// How much of what is limited an org keeps. Things are counted by the sorted sets that they are listed in, bytes by a
// counter that changes in the commit that makes or purges them, so neither can drift. An org and its sandbox are
// counted apart, but for API keys, which lie together.

import type { QuotaName } from '../../state/access/storage-quotas.ts';
import { isFinal, STATUSES } from '../../state/tasks/lifecycle.ts';
import type { Guard, Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf, sharedKeysOf } from '../redis/keys.ts';

/** Indexes that hold one member a thing. */
const INDEXES = {
  workers: 'workers',
  pools: 'pools',
  endpoints: 'endpoints',
  keys: 'api_keys',
  members: 'members',
  clients: 'oauth_clients',
  issuers: 'issuers',
} as const satisfies Partial<Record<QuotaName, string>>;

/** What is counted by an index of its own. */
export type ListedQuota = keyof typeof INDEXES;

const OPEN_STATUSES = STATUSES.filter((status) => !isFinal(status));
const EVIDENCE = 'evidence_bytes';
const ANSWERS = 'answers:';
const HOUR = 3600_000;
/** An answer is kept for a day from some moment of its hour on. */
const ANSWER_HOURS = 25;

function listKey(db: Db, tenantId: string, name: ListedQuota): string {
  const keys = name === 'keys' ? sharedKeysOf(db.prefix, tenantId) : orgKeysOf(db.prefix, tenantId);
  return keys.index(INDEXES[name]);
}

/** Holds while the org has fewer than `limit` of these. */
export function roomGuard(db: Db, tenantId: string, name: ListedQuota, limit: number): Guard {
  return { kind: 'room', key: listKey(db, tenantId, name), most: limit };
}

/** Holds while the org has fewer than `limit` open tasks. */
export function openTasksGuard(db: Db, tenantId: string, limit: number): Guard {
  const [key = '', ...others] = openTaskKeys(db, tenantId);
  return { kind: 'room', key, others, most: limit };
}

function openTaskKeys(db: Db, tenantId: string): string[] {
  const { index } = orgKeysOf(db.prefix, tenantId);
  return OPEN_STATUSES.map((status) => index(`status:${status}`));
}

/** Guard and write that count `bytes` more of evidence; the guard holds while that is within `limit`. */
export function evidenceAdded(
  db: Db,
  tenantId: string,
  bytes: number,
  limit: number,
): { guard: Guard; write: Write } {
  const { usage } = orgKeysOf(db.prefix, tenantId);
  return {
    guard: { kind: 'at_most', key: usage, field: EVIDENCE, most: limit - bytes },
    write: ['HINCRBY', usage, EVIDENCE, bytes],
  };
}

/** The write that counts `bytes` less of evidence. */
export function evidencePurged(db: Db, tenantId: string, bytes: number): Write {
  return ['HINCRBY', orgKeysOf(db.prefix, tenantId).usage, EVIDENCE, -bytes];
}

/** The counter, as key and field of a hash, of the answers that are kept from `now` (ms) on. */
export function answerCounter(db: Db, tenantId: string, now: number): { key: string; field: string } {
  return { key: orgKeysOf(db.prefix, tenantId).usage, field: `${ANSWERS}${Math.floor(now / HOUR)}` };
}

/** How much of `name` the tenant keeps now. */
export async function countUsage(db: Db, tenantId: string, name: QuotaName): Promise<number> {
  const { redis } = db;
  if (name === 'open_tasks') {
    const counts = await Promise.all(openTaskKeys(db, tenantId).map((key) => redis.zcard(key)));
    return counts.reduce((sum, count) => sum + count, 0);
  }
  if (name === 'evidence_bytes')
    return Number((await redis.hget(orgKeysOf(db.prefix, tenantId).usage, EVIDENCE)) ?? 0);
  if (name === 'idempotent_answer_bytes') return countAnswers(db, tenantId);
  return redis.zcard(listKey(db, tenantId, name));
}

/** Also forgets the hours whose answers have all ended. */
async function countAnswers(db: Db, tenantId: string): Promise<number> {
  const { usage } = orgKeysOf(db.prefix, tenantId);
  const counters = Object.entries(await db.redis.hgetall(usage)).filter(([field]) =>
    field.startsWith(ANSWERS),
  );
  const oldest = Math.floor(db.clock.now() / HOUR) - ANSWER_HOURS;
  const isOver = (field: string) => Number(field.slice(ANSWERS.length)) < oldest;
  const over = counters.map(([field]) => field).filter(isOver);
  if (over.length > 0) await db.redis.hdel(usage, ...over);
  return counters.reduce((sum, [field, bytes]) => (isOver(field) ? sum : sum + Number(bytes)), 0);
}
