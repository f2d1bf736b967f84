// Which domains, task types and pools the tasks of an org have, so that created tasks can be counted in the index of
// each. A create writes a value only when this process has not noted it for an hour.

import { LRUCache } from 'lru-cache';
import { type Dimension, groupsOf, NONE } from '../../state/stats/tally.ts';
import type { Task } from '../../state/tasks/task.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

/** The dimensions whose values integrators choose. */
const NOTED = ['domain', 'task_type', 'pool'] as const satisfies readonly Dimension[];
/** Most values of a dimension; those noted longest ago are dropped first. */
const VALUES_MOST = 1000;

/** Combinations of values that this process has noted lately. */
const noted = new LRUCache<string, true>({ max: 50_000, ttl: 3600_000 });

/** Writes that note the values of a new task; none when they have been noted lately. */
export function valueWrites(db: Db, task: Task): Write[] {
  if (noted.has(nameOf(db, task))) return [];
  const keys = orgKeysOf(db.prefix, task.org_id);
  const groups = groupsOf(task);
  return NOTED.filter((name) => groups[name] !== NONE).map((name) => [
    'ZADD',
    keys.statsValues(name),
    task.created_at,
    groups[name],
  ]);
}

/** Remembers that the writes of `valueWrites` were committed. */
export function valuesNoted(db: Db, task: Task): void {
  noted.set(nameOf(db, task), true);
}

function nameOf(db: Db, { org_id, input }: Task): string {
  const { domain, task_type, requirements } = input;
  return `${db.prefix} ${org_id} ${domain} ${task_type} ${requirements?.worker_pool_id ?? NONE}`;
}

/** Writes that note the values of samples, and drop the oldest beyond the limit. @param at ms. */
export function sampledValueWrites(
  db: Db,
  orgId: string,
  dimension: Dimension,
  values: readonly string[],
  at: number,
): Write[] {
  const named = values.filter((value) => value !== NONE);
  if (!NOTED.some((name) => name === dimension) || named.length === 0) return [];
  const key = orgKeysOf(db.prefix, orgId).statsValues(dimension);
  return [
    ['ZADD', key, 'GT', ...named.flatMap((value) => [at, value])],
    ['ZREMRANGEBYRANK', key, 0, -VALUES_MOST - 1],
  ];
}

/** The noted values of a dimension. */
export function notedValues(db: Db, orgId: string, dimension: Dimension): Promise<string[]> {
  return db.redis.zrange(orgKeysOf(db.prefix, orgId).statsValues(dimension), 0, '-1');
}
