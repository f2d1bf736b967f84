// Enforces the storage quotas of an org. Records are counted in the commit that creates them. For open tasks and stored
// responses a process caches the usage for a second and skips that count while the usage is far below the limit.

import { LRUCache } from 'lru-cache';
import {
  forEachQuota,
  QUOTA_NAMES,
  type QuotaName,
  quotaLabel,
  type StorageQuotas,
  type StorageUsage,
} from '../../state/access/storage-quotas.ts';
import { atMost } from '../../state/cache-entries.ts';
import { countTasks, meanTaskBytes } from '../../store/identity/task-bytes.ts';
import {
  belowLimitGuard,
  countOpenCopies,
  countUsage,
  type ListedQuota,
  openCopiesGuard,
  openTasksGuard,
  taskTypeBytesAdded,
} from '../../store/identity/usage.ts';
import { type Change, merge } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { ApiError } from '../http/problem.ts';

/** Storage quotas of the tenant's org, at most a second old. */
type LimitsOf = (tenantId: string) => StorageQuotas | Promise<StorageQuotas>;

/** A usage is near its limit when less than this share of the limit is left, or less than this number. */
const NEAR_SHARE = 0.1;
const NEAR_COUNT = 1000;
const NEAR_BYTES = 10 * 1024 * 1024;

/** 422 for a reached limit. @param owner subject of the message, such as `The org`. @param label plural name of the records. */
export function quotaExceeded(
  quota: string,
  owner: string,
  label: string,
  used: number,
  limit: number,
): ApiError {
  const detail = `${owner} has ${used} ${label}, of at most ${limit}.`;
  return new ApiError('quota_exceeded', detail, { quota });
}

export class Usage {
  readonly #db: Db;
  readonly #limitsOf: LimitsOf;
  readonly #openTaskCounts: CachedCounts;
  readonly #responseBytes: CachedCounts;
  readonly #taskCounts: CachedCounts;
  readonly #taskBytes: CachedCounts;

  constructor(db: Db, limitsOf: LimitsOf) {
    this.#db = db;
    this.#limitsOf = limitsOf;
    this.#openTaskCounts = new CachedCounts((id) => countUsage(db, id, 'open_tasks'));
    this.#responseBytes = new CachedCounts((id) => countUsage(db, id, 'idempotent_answer_bytes'));
    this.#taskCounts = new CachedCounts((id) => countTasks(db, id));
    this.#taskBytes = new CachedCounts((id) => meanTaskBytes(db, id), SAMPLE_MS);
  }

  /** The tenant's limit of one kind. */
  async limit(tenantId: string, name: QuotaName): Promise<number> {
    return (await this.#limitsOf(tenantId))[name];
  }

  /** Guards for the commit that creates one more record of a kind. @throws ApiError 422 `quota_exceeded` */
  async quotaGuards(tenantId: string, name: ListedQuota): Promise<Change> {
    const limit = await this.#requireBelow(tenantId, name, 1);
    return { guards: [belowLimitGuard(this.#db, tenantId, name, limit)], writes: [] };
  }

  /**
   * Guards for the commit that creates tasks, whose bytes are estimated; none while the usage is far below the limit. Copies are counted by
   * themselves, to the same limit.
   * @param tasks how many. @param copies how many copies they may have. @throws ApiError 422
   */
  async openTasks(tenantId: string, tasks: number, copies: number): Promise<Change> {
    const limits = await this.#limitsOf(tenantId);
    const known = (await this.#taskCounts.add(tenantId, tasks)) - tasks;
    requireTaskBytes(known * (await this.#taskBytes.add(tenantId, 0)), limits.task_bytes);
    const limit = limits.open_tasks;
    if (copies === 0) return this.#openTasks(tenantId, tasks, limit);
    const used = await countOpenCopies(this.#db, tenantId);
    if (used + copies > limit) throw quotaExceeded('open_tasks', 'The org', 'open copies', used, limit);
    const guard = openCopiesGuard(this.#db, tenantId, limit - copies + 1);
    return merge(await this.#openTasks(tenantId, tasks, limit), { guards: [guard], writes: [] });
  }

  async #openTasks(tenantId: string, tasks: number, limit: number): Promise<Change> {
    const used = await this.#openTaskCounts.add(tenantId, tasks);
    if (used <= limit - Math.max(NEAR_COUNT, limit * NEAR_SHARE)) return merge();
    await this.#requireBelow(tenantId, 'open_tasks', tasks);
    return { guards: [openTasksGuard(this.#db, tenantId, limit - tasks + 1)], writes: [] };
  }

  /** Requires room for `bytes` of evidence; the commit checks it again. @throws ApiError 422 `quota_exceeded` */
  async requireEvidenceRoom(tenantId: string, bytes: number): Promise<void> {
    await this.#requireBelow(tenantId, 'evidence_bytes', bytes);
  }

  /** Guards and writes for the commit that stores `bytes` of a version of a task type. @throws ApiError 422 */
  async taskTypeBytes(tenantId: string, bytes: number): Promise<Change> {
    const limit = await this.#requireBelow(tenantId, 'task_type_bytes', bytes);
    return taskTypeBytesAdded(this.#db, tenantId, bytes, limit);
  }

  /** Requires room for the stored response of an Idempotency-Key. @throws ApiError 422 `quota_exceeded` */
  async requireRoomForResponse(tenantId: string): Promise<void> {
    const limit = await this.limit(tenantId, 'idempotent_answer_bytes');
    const used = await this.#responseBytes.add(tenantId, 0);
    if (used <= limit - Math.max(NEAR_BYTES, limit * NEAR_SHARE)) return;
    await this.#requireBelow(tenantId, 'idempotent_answer_bytes', 1);
  }

  /** Adds a stored response to the cached usage. */
  addResponse(tenantId: string, bytes: number): void {
    this.#responseBytes.addIfCached(tenantId, bytes);
  }

  /** The tenant's usage and limit of each kind. */
  async usageOf(tenantId: string, limits: StorageQuotas): Promise<StorageUsage> {
    const counts = await Promise.all(QUOTA_NAMES.map((name) => countUsage(this.#db, tenantId, name)));
    const used = new Map(QUOTA_NAMES.map((name, index) => [name, counts[index] ?? 0]));
    return forEachQuota((name) => ({ used: used.get(name) ?? 0, limit: limits[name] }));
  }

  async #requireBelow(tenantId: string, name: QuotaName, more: number): Promise<number> {
    const [limit, used] = await Promise.all([
      this.limit(tenantId, name),
      countUsage(this.#db, tenantId, name),
    ]);
    if (used + more > limit) throw quotaExceeded(name, 'The org', quotaLabel(name), used, limit);
    return limit;
  }
}

/** @param bytes estimate of what the org's tasks take. @throws ApiError 422 */
function requireTaskBytes(bytes: number, limit: number): void {
  const used = Math.round(bytes);
  if (used >= limit) throw quotaExceeded('task_bytes', 'The org', quotaLabel('task_bytes'), used, limit);
}

const CACHE_MS = 1000;
/** The mean size of a tenant's tasks is measured once in this time, ms. */
const SAMPLE_MS = 10_000;
/** The cache reads the clock once in this time, ms, instead of at every look-up. */
const CLOCK_STEP = 20;
const MAX_CACHED = 10_000;

interface CachedCount {
  /** The count, or the promise of it. */
  counted: number | Promise<number>;
  /** What this process has added since. */
  added: number;
}

/** Cached counts by tenant: at most a second old (or another time), plus what this process has added since. */
class CachedCounts {
  readonly #count: (tenantId: string) => Promise<number>;
  readonly #cache: LRUCache<string, CachedCount>;

  constructor(count: (tenantId: string) => Promise<number>, ttl = CACHE_MS) {
    this.#count = count;
    this.#cache = new LRUCache({ ...atMost(MAX_CACHED), ttl, ttlResolution: CLOCK_STEP });
  }

  /** Adds to a tenant's count. @returns the new count; not a promise if it is cached. @throws errors of Redis */
  add(tenantId: string, more: number): number | Promise<number> {
    const cached = this.#cache.get(tenantId) ?? this.#start(tenantId);
    cached.added += more;
    const { counted, added } = cached;
    return typeof counted === 'number' ? counted + added : counted.then((count) => count + added);
  }

  #start(tenantId: string): CachedCount {
    const counting = this.#count(tenantId);
    const cached: CachedCount = { counted: counting, added: 0 };
    this.#cache.set(tenantId, cached);
    counting.then(
      (count) => {
        cached.counted = count;
      },
      () => {
        if (this.#cache.peek(tenantId) === cached) this.#cache.delete(tenantId);
      },
    );
    return cached;
  }

  /** Adds to a tenant's count if it is cached. */
  addIfCached(tenantId: string, more: number): void {
    const cached = this.#cache.get(tenantId);
    if (cached !== undefined) cached.added += more;
  }
}
