// How many open tasks an org has at this moment, from the indexes of tasks. The work for one answer is bounded however many
// tasks there are, and answers are kept for a moment, so that many open pages of an org cause one query.

import { LRUCache } from 'lru-cache';
import { OPEN } from '../../state/tasks/filters.ts';
import type { Status } from '../../state/tasks/lifecycle.ts';
import { URGENCIES } from '../../state/tasks/task.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { newestValues } from './values.ts';

/** Tasks of a state and a value that are counted at most. */
const MAX_COUNTED = 10_000;
/** Most domains and pools that are counted one by one. */
export const MAX_DOMAINS = 20;
export const MAX_POOLS = 20;
/** How long an answer is kept, ms. */
const KEPT = 2000;

interface GroupCount {
  group: string;
  count: number;
  /** False: there are at least so many. */
  is_exact: boolean;
}

export interface OpenTasks {
  status: Partial<Record<Status, number>>;
  in_review: number;
  overdue: number;
  has_open_question: number;
  by_urgency: GroupCount[];
  /** Those with the most open tasks, of the domains that were used last. */
  by_domain: GroupCount[];
}

const recent = new LRUCache<string, Promise<OpenTasks>>({ max: 1000, ttl: KEPT });

/**
 * Counts the open tasks, without gold tasks where lists have none.
 * @param pools `["*"]`, or at most `MAX_POOLS` pools whose tasks are counted
 */
export function countOpenTasks(db: Db, orgId: string, pools: readonly string[]): Promise<OpenTasks> {
  const key = JSON.stringify([db.prefix, orgId, pools]);
  const known = recent.get(key);
  if (known !== undefined) return known;
  const counted = count(db, orgId, pools);
  recent.set(key, counted);
  counted.catch(() => recent.delete(key));
  return counted;
}

async function count(db: Db, orgId: string, pools: readonly string[]): Promise<OpenTasks> {
  const { index } = orgKeysOf(db.prefix, orgId);
  const isConfined = !pools.includes('*');
  const both = (...names: string[]) => db.redis.zintercard(names.length, ...names.map(index));
  const atMost = (...names: string[]) =>
    db.redis.zintercard(names.length, ...names.map(index), 'LIMIT', MAX_COUNTED);

  /** Tasks in an index, of the pools. */
  const sizeOf = async (name: string, withGold: boolean): Promise<number> => {
    if (isConfined) return sum(await Promise.all(pools.map((pool) => both(name, `pool:${pool}`))));
    const all = await db.redis.zcard(index(name));
    return withGold || all === 0 ? all : all - (await both(name, 'gold:true'));
  };
  const groupOf = async (dimension: string, group: string): Promise<GroupCount> => {
    const counts = await Promise.all(
      OPEN.flatMap((status) => {
        const names = [`status:${status}`, `${dimension}:${group}`];
        return isConfined ? pools.map((pool) => atMost(...names, `pool:${pool}`)) : [atMost(...names)];
      }),
    );
    return { group, count: sum(counts), is_exact: counts.every((one) => one < MAX_COUNTED) };
  };

  const domains = await newestValues(db, orgId, 'domain', MAX_DOMAINS);
  const [statuses, in_review, overdue, has_open_question, by_urgency, by_domain] = await Promise.all([
    Promise.all(OPEN.map(async (status) => [status, await sizeOf(`status:${status}`, false)] as const)),
    sizeOf('in_review:true', true),
    sizeOf('overdue:true', false),
    sizeOf('has_open_question:true', true),
    Promise.all(URGENCIES.map((urgency) => groupOf('urgency', urgency))),
    Promise.all(domains.map((domain) => groupOf('domain', domain))),
  ]);
  return {
    status: Object.fromEntries(statuses),
    in_review,
    overdue,
    has_open_question,
    by_urgency,
    by_domain: by_domain.filter((one) => one.count > 0).sort((one, other) => other.count - one.count),
  };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, one) => total + one, 0);
}
