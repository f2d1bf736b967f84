// Which domains, task types and pools the tasks of an org have, so that created tasks can be counted in the index of
// each. A create writes a value only when this process has not written it for an hour.

import { LRUCache } from 'lru-cache';
import { atMost } from '../../state/cache-entries.ts';
import { type Dimension, groupsOf, NONE } from '../../state/stats/tally.ts';
import type { Task } from '../../state/tasks/task.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

/** The dimensions whose values integrators choose. */
const RECORDED = ['domain', 'task_type', 'pool'] as const satisfies readonly Dimension[];
/** Most values of a dimension; those recorded longest ago are dropped first. */
const MAX_VALUES = 1000;

/** Combinations of values that this process has recorded lately. */
const recentlyRecorded = new LRUCache<string, true>({
  ...atMost(50_000),
  ttl: 3600_000,
  // The clock is read once in this time, ms, instead of at every look-up.
  ttlResolution: 1000,
});

/** Writes that record the values of a new task; none when they have been recorded lately. */
export function valueWrites(db: Db, task: Task): Write[] {
  if (recentlyRecorded.has(nameOf(db, task))) return [];
  const keys = orgKeysOf(db.prefix, task.org_id);
  const groups = groupsOf(task);
  return RECORDED.filter((name) => groups[name] !== NONE).map((name) => [
    'ZADD',
    keys.statsValues(name),
    task.created_at,
    groups[name],
  ]);
}

/** Remembers that the writes of `valueWrites` were committed. */
export function rememberValues(db: Db, task: Task): void {
  const name = nameOf(db, task);
  if (!recentlyRecorded.has(name)) recentlyRecorded.set(name, true);
}

function nameOf(db: Db, { org_id, input }: Task): string {
  const { domain, task_type, requirements } = input;
  return `${db.prefix} ${org_id} ${domain} ${task_type} ${requirements?.worker_pool_id ?? NONE}`;
}

/** Writes that record the values of samples, and drop the oldest beyond the limit. @param at ms. */
export function sampledValueWrites(
  db: Db,
  orgId: string,
  dimension: Dimension,
  values: readonly string[],
  at: number,
): Write[] {
  const named = values.filter((value) => value !== NONE);
  if (!RECORDED.some((name) => name === dimension) || named.length === 0) return [];
  const key = orgKeysOf(db.prefix, orgId).statsValues(dimension);
  return [
    ['ZADD', key, 'GT', ...named.flatMap((value) => [at, value])],
    ['ZREMRANGEBYRANK', key, 0, -MAX_VALUES - 1],
  ];
}

/** The recorded values of a dimension. */
export function recordedValues(db: Db, orgId: string, dimension: Dimension): Promise<string[]> {
  return db.redis.zrange(orgKeysOf(db.prefix, orgId).statsValues(dimension), 0, '-1');
}

/** The values of a dimension that were recorded last, the newest first. */
export function newestValues(
  db: Db,
  orgId: string,
  dimension: (typeof RECORDED)[number],
  limit: number,
): Promise<string[]> {
  return db.redis.zrange(orgKeysOf(db.prefix, orgId).statsValues(dimension), 0, String(limit - 1), 'REV');
}
