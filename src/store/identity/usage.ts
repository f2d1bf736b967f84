// How much of each storage quota a tenant uses. Records are counted by the sorted sets that list them, bytes by a
// counter that changes in the commit that stores or purges them, so neither can drift. Only the bytes of tasks are estimated. An org and its sandbox are
// counted separately, except for API keys, which are stored together.

import type { QuotaName } from '../../state/access/storage-quotas.ts';
import { isFinal, STATUSES } from '../../state/tasks/lifecycle.ts';
import type { Change, Guard, Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { countResponseBytes } from '../redis/idempotency.ts';
import { orgKeysOf, sharedKeysOf } from '../redis/keys.ts';
import { OPEN_COPIES } from '../tasks/copies-index.ts';
import { countTasks, meanTaskBytes } from './task-bytes.ts';

/** Indexes that have one member for each record. */
const INDEXES = {
  workers: 'workers',
  pools: 'pools',
  endpoints: 'endpoints',
  keys: 'api_keys',
  members: 'members',
  clients: 'oauth_clients',
  issuers: 'issuers',
  task_types: 'task_types',
} as const satisfies Partial<Record<QuotaName, string>>;

/** The quotas that are counted by an index. */
export type ListedQuota = keyof typeof INDEXES;

const OPEN_STATUSES = STATUSES.filter((status) => !isFinal(status));
const EVIDENCE = 'evidence_bytes';
const TASK_TYPES = 'task_type_bytes';

function listKey(db: Db, tenantId: string, name: ListedQuota): string {
  const keys = name === 'keys' ? sharedKeysOf(db.prefix, tenantId) : orgKeysOf(db.prefix, tenantId);
  return keys.index(INDEXES[name]);
}

/** A guard that holds while the tenant has fewer than `limit` of these records. */
export function belowLimitGuard(db: Db, tenantId: string, name: ListedQuota, limit: number): Guard {
  return { kind: 'below_limit', key: listKey(db, tenantId, name), limit };
}

/** A guard that holds while the tenant has fewer than `limit` open tasks. */
export function openTasksGuard(db: Db, tenantId: string, limit: number): Guard {
  const [key = '', ...others] = openTaskKeys(db, tenantId);
  return { kind: 'below_limit', key, others, limit };
}

/** A guard that holds while the tenant has fewer than `limit` open copies. */
export function openCopiesGuard(db: Db, tenantId: string, limit: number): Guard {
  return { kind: 'below_limit', key: orgKeysOf(db.prefix, tenantId).index(OPEN_COPIES), limit };
}

/** Number of the tenant's open copies. */
export function countOpenCopies(db: Db, tenantId: string): Promise<number> {
  return db.redis.zcard(orgKeysOf(db.prefix, tenantId).index(OPEN_COPIES));
}

function openTaskKeys(db: Db, tenantId: string): string[] {
  const { index } = orgKeysOf(db.prefix, tenantId);
  return OPEN_STATUSES.map((status) => index(`status:${status}`));
}

/** Adds `bytes` of evidence to the usage; the guard holds while the sum is at most `limit` bytes. */
export function evidenceAdded(
  db: Db,
  tenantId: string,
  bytes: number,
  limit: number,
): { guard: Guard; write: Write } {
  const { usage } = orgKeysOf(db.prefix, tenantId);
  return {
    guard: { kind: 'at_most', key: usage, field: EVIDENCE, limit: limit - bytes },
    write: ['HINCRBY', usage, EVIDENCE, bytes],
  };
}

/** Adds `bytes` of a version of a task type to the usage; the guard holds while the sum is at most `limit` bytes. */
export function taskTypeBytesAdded(db: Db, tenantId: string, bytes: number, limit: number): Change {
  const { usage } = orgKeysOf(db.prefix, tenantId);
  return {
    guards: [{ kind: 'at_most', key: usage, field: TASK_TYPES, limit: limit - bytes }],
    writes: [['HINCRBY', usage, TASK_TYPES, bytes]],
  };
}

/** The write that subtracts `bytes` of evidence from the usage. */
export function evidencePurged(db: Db, tenantId: string, bytes: number): Write {
  return ['HINCRBY', orgKeysOf(db.prefix, tenantId).usage, EVIDENCE, -bytes];
}

/** The tenant's current usage of a quota: a number of records, or bytes. */
export async function countUsage(db: Db, tenantId: string, name: QuotaName): Promise<number> {
  const { redis } = db;
  if (name === 'open_tasks') {
    const counts = await Promise.all(openTaskKeys(db, tenantId).map((key) => redis.zcard(key)));
    return counts.reduce((sum, count) => sum + count, 0);
  }
  if (name === 'task_bytes') {
    const [tasks, mean] = await Promise.all([countTasks(db, tenantId), meanTaskBytes(db, tenantId)]);
    return Math.round(tasks * mean);
  }
  if (name === 'evidence_bytes' || name === 'task_type_bytes')
    return Number((await redis.hget(orgKeysOf(db.prefix, tenantId).usage, name)) ?? 0);
  if (name === 'idempotent_answer_bytes') return countResponseBytes(db, tenantId);
  return redis.zcard(listKey(db, tenantId, name));
}
