// What an org may still make, by the limits on what it keeps. What is listed is counted in the commit that makes it. Open
// tasks are too: but a process remembers for a second how many an org has, and while that is far from the limit a
// create asks nothing of Redis for it.

import {
  forEachQuota,
  QUOTA_NAMES,
  type QuotaName,
  quotaLabel,
  type StorageQuotas,
  type StorageUsage,
} from '../../state/access/storage-quotas.ts';
import { countUsage, type ListedQuota, openTasksGuard, roomGuard } from '../../store/identity/usage.ts';
import { type Change, merge } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { ApiError } from '../http/problem.ts';

/** The limits of a tenant's org as they were at most a second ago. */
type LimitsOf = (tenantId: string) => StorageQuotas | Promise<StorageQuotas>;

/** What is left of a limit below which each change is counted in its commit: this share of it, and at least so many. */
const NEAR_SHARE = 0.1;
const NEAR_COUNT = 1000;
const NEAR_BYTES = 10 * 1024 * 1024;

/** 422 for what there are too many of. @param owner who has them: `The org`. @param label what they are. */
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
  readonly #openTasks: RememberedCounts;
  readonly #answerBytes: RememberedCounts;

  constructor(db: Db, limitsOf: LimitsOf) {
    this.#db = db;
    this.#limitsOf = limitsOf;
    this.#openTasks = new RememberedCounts((id) => countUsage(db, id, 'open_tasks'));
    this.#answerBytes = new RememberedCounts((id) => countUsage(db, id, 'idempotent_answer_bytes'));
  }

  /** The tenant's limit. */
  async limit(tenantId: string, name: QuotaName): Promise<number> {
    return (await this.#limitsOf(tenantId))[name];
  }

  /** Guards of the commit that makes one more of these. @throws ApiError 422 `quota_exceeded` */
  async room(tenantId: string, name: ListedQuota): Promise<Change> {
    const limit = await this.#requireBelow(tenantId, name, 1);
    return { guards: [roomGuard(this.#db, tenantId, name, limit)], writes: [] };
  }

  /** Guards of the commit that makes one more task; none while there is room for many. @throws ApiError 422 */
  async openTask(tenantId: string): Promise<Change> {
    const limit = await this.limit(tenantId, 'open_tasks');
    const used = await this.#openTasks.add(tenantId, 1);
    if (used <= limit - Math.max(NEAR_COUNT, limit * NEAR_SHARE)) return merge();
    await this.#requireBelow(tenantId, 'open_tasks', 1);
    return { guards: [openTasksGuard(this.#db, tenantId, limit)], writes: [] };
  }

  /** Whether `bytes` more of evidence may be kept; asked again by the commit. @throws ApiError 422 `quota_exceeded` */
  async requireEvidenceRoom(tenantId: string, bytes: number): Promise<void> {
    await this.#requireBelow(tenantId, 'evidence_bytes', bytes);
  }

  /** Whether one more answer may be kept for an Idempotency-Key. @throws ApiError 422 `quota_exceeded` */
  async requireAnswerRoom(tenantId: string): Promise<void> {
    const limit = await this.limit(tenantId, 'idempotent_answer_bytes');
    const used = await this.#answerBytes.add(tenantId, 0);
    if (used <= limit - Math.max(NEAR_BYTES, limit * NEAR_SHARE)) return;
    await this.#requireBelow(tenantId, 'idempotent_answer_bytes', 1);
  }

  /** Notes that an answer of so many bytes is kept. */
  noteAnswer(tenantId: string, bytes: number): void {
    this.#answerBytes.note(tenantId, bytes);
  }

  /** How much of each kind the tenant keeps, and may. */
  async of(tenantId: string, limits: StorageQuotas): Promise<StorageUsage> {
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

const REMEMBERED = 1000;
const REMEMBERED_MOST = 10_000;

/** Counts by tenant, at most a second old, with what this process has added since. */
class RememberedCounts {
  readonly #count: (tenantId: string) => Promise<number>;
  readonly #known = new Map<string, { until: number; counted: Promise<number>; added: number }>();

  constructor(count: (tenantId: string) => Promise<number>) {
    this.#count = count;
  }

  /** Adds to the count of a tenant. @returns the count with it. @throws what Redis throws */
  async add(tenantId: string, more: number): Promise<number> {
    const now = performance.now();
    let known = this.#known.get(tenantId);
    if (known === undefined || known.until <= now) {
      if (this.#known.size >= REMEMBERED_MOST) this.#known.clear();
      known = { until: now + REMEMBERED, counted: this.#count(tenantId), added: 0 };
      this.#known.set(tenantId, known);
    }
    known.added += more;
    const { added } = known;
    try {
      return (await known.counted) + added;
    } catch (error) {
      if (this.#known.get(tenantId) === known) this.#known.delete(tenantId);
      throw error;
    }
  }

  /** Adds to the count of a tenant where it is remembered. */
  note(tenantId: string, more: number): void {
    const known = this.#known.get(tenantId);
    if (known !== undefined) known.added += more;
  }
}
