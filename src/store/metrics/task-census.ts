// How many tasks of all orgs are in each state, when the oldest open ones were created, and which orgs have most of them. The indexes of the states are
// counted in short scripts, and the answer is kept, so that it takes a twentieth of the time at most however many orgs there are.

import { MODES, type Mode, modeOf } from '../../state/access/tenant.ts';
import { OPEN } from '../../state/tasks/filters.ts';
import { STATUSES, type Status } from '../../state/tasks/lifecycle.ts';
import type { Db } from '../redis/connection.ts';
import { idTime } from '../redis/ids.ts';
import { orgKeysOf, partitionKeys } from '../redis/keys.ts';
import { partitionsWith } from '../redis/partition-counts.ts';
import { defineScript } from '../redis/scripts.ts';
import { fetched, nullIfUnreadable } from '../redis/unreadable.ts';

/** An answer is kept for so long at least, ms. */
const KEPT_MS = 15_000;
/** An answer is kept for so many times as long as it took. */
const REST = 20;
/** Tenants that one script counts: about half a millisecond. */
const CHUNK = 50;

// KEYS: for each tenant its index of each state. ARGV: the number of states. Returns for each state the number of tasks and the
// smallest id, and the number of tasks of each key. An index of the wrong type counts nothing.
const COUNT = `
local states = tonumber(ARGV[1])
local counts, oldest, each = {}, {}, {}
for state = 1, states do counts[state] = 0; oldest[state] = '' end
for at, key in ipairs(KEYS) do
  local count = redis.pcall('ZCARD', key)
  each[at] = type(count) == 'number' and count or 0
  if type(count) == 'number' and count > 0 then
    local state = (at - 1) % states + 1
    counts[state] = counts[state] + count
    local first = redis.call('ZRANGE', key, 0, 0)[1]
    if oldest[state] == '' or first < oldest[state] then oldest[state] = first end
  end
end
return {counts, oldest, each}
`;

const countTasks = defineScript<[counts: number[], oldest: string[], each: number[]]>(COUNT);

export interface TaskCount {
  mode: Mode;
  status: Status;
  count: number;
  /** When the oldest was created, ms; null when there is none, and for final states. */
  oldest: number | null;
}

/** The open tasks of a tenant. */
export interface TenantTasks {
  tenant_id: string;
  /** All of them. */
  open: number;
  byStatus: { status: Status; count: number }[];
}

export interface Census {
  counts: TaskCount[];
  /** The tenants with most open tasks, first those with most. */
  busiest: TenantTasks[];
}

export class TaskCensus {
  readonly #db: Db;
  readonly #top: number;
  #kept: { until: number; census: Promise<Census> } | null = null;

  /** @param top how many tenants are counted apart */
  constructor(db: Db, top: number) {
    this.#db = db;
    this.#top = top;
  }

  /** The counts, as they were at most 15 s ago, or twenty times as long as counting takes. */
  take(): Promise<Census> {
    if (this.#kept !== null && performance.now() < this.#kept.until) return this.#kept.census;
    const kept = { until: Number.POSITIVE_INFINITY, census: this.#count() };
    this.#kept = kept;
    const start = performance.now();
    kept.census.then(
      () => {
        const end = performance.now();
        kept.until = end + Math.max(KEPT_MS, REST * (end - start));
      },
      () => {
        this.#kept = null;
      },
    );
    return kept.census;
  }

  async #count(): Promise<Census> {
    let busiest: TenantTasks[] = [];
    const found = new Map(MODES.map((mode) => [mode, STATUSES.map((status) => newCount(mode, status))]));
    for (const partition of await partitionsWith(this.#db, ({ orgs }) => [['SCARD', orgs]])) {
      const { orgs } = partitionKeys(this.#db.prefix, partition);
      const tenants = await nullIfUnreadable(this.#db, () => fetched(orgs, this.#db.redis.smembers(orgs)));
      for (const [mode, counts] of found) {
        const ids = tenants?.filter((id) => modeOf(id) === mode) ?? [];
        for (let at = 0; at < ids.length; at += CHUNK) {
          const added = await this.#add(counts, ids.slice(at, at + CHUNK));
          busiest = [...busiest, ...added].sort((one, other) => other.open - one.open).slice(0, this.#top);
        }
      }
    }
    return { counts: [...found.values()].flat(), busiest };
  }

  /** Adds tenants to the counts. @param tenantIds of one partition @returns those that have open tasks */
  async #add(counts: TaskCount[], tenantIds: readonly string[]): Promise<TenantTasks[]> {
    const { redis, prefix } = this.#db;
    const keys = tenantIds.flatMap((id) =>
      STATUSES.map((one) => orgKeysOf(prefix, id).index(`status:${one}`)),
    );
    const [sums, oldest, each] = await countTasks(redis, keys, [STATUSES.length]);
    for (const [at, one] of counts.entries()) {
      one.count += sums[at] ?? 0;
      const id = oldest[at] ?? '';
      if (id !== '' && OPEN.includes(one.status))
        one.oldest = Math.min(one.oldest ?? Number.POSITIVE_INFINITY, idTime(id));
    }
    if (this.#top === 0) return [];
    const tenants = tenantIds.map((tenant_id, at) => {
      const byStatus = STATUSES.map((status, index) => ({
        status,
        count: each[at * STATUSES.length + index] ?? 0,
      })).filter(({ status }) => OPEN.includes(status));
      return { tenant_id, byStatus, open: byStatus.reduce((sum, { count }) => sum + count, 0) };
    });
    return tenants.filter(({ open }) => open > 0);
  }
}

function newCount(mode: Mode, status: Status): TaskCount {
  return { mode, status, count: 0, oldest: null };
}
