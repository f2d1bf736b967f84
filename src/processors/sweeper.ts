// Adds jobs that should exist and do not. Jobs are lost when a backup of Redis is restored, a queue is flushed or a
// failover loses writes. The indexes of checks, deliveries, replays, bulk actions and turns say which jobs should exist; the sweeper
// walks what is overdue in them, adds missing jobs and counts them.
//
// A member that fails on its own is reported and postponed, so that it blocks no others; a malformed member becomes a dead
// entry (`store/maintenance/dead-entries.ts`).

import type { Queue } from 'bullmq';
import {
  backlogJob,
  bulkActionJob,
  checkJob,
  deliveryJob,
  matchingJob,
  noticeJob,
  orderedJob,
  orphanedReservationJob,
  poolJob,
  replayJob,
  retryJob,
} from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import type { MatchRequest } from '../state/outbox.ts';
import { checksOf } from '../state/tasks/scheduled-checks.ts';
import { poolOf } from '../state/tasks/task.ts';
import { taskOfQueueMember } from '../state/workers/matching.ts';
import { allTenants, completeOrgLists } from '../store/identity/orgs.ts';
import { isSuspended } from '../store/identity/suspension.ts';
import { moveMemberToDead } from '../store/maintenance/dead-entries.ts';
import { commit } from '../store/redis/commit.ts';
import type { Db } from '../store/redis/connection.ts';
import { orgKeysOf, PARTITIONS, partitionKeys } from '../store/redis/keys.ts';
import type { Log } from '../store/redis/log.ts';
import { shortenTtl } from '../store/redis/ttl.ts';
import {
  concernsOneItem,
  forEachIntact,
  nullIfUnreadable,
  RETRY_UNREADABLE_AFTER_MS,
  reportFailed,
  UnreadableRecord,
} from '../store/redis/unreadable.ts';
import { loadTask, type StoredTask } from '../store/tasks/tasks.ts';
import { backloggedReceivers, releaseBacklog } from '../store/webhooks/backlog.ts';
import { readPendingMember } from '../store/webhooks/delivery-target.ts';
import { releaseOrdered } from '../store/webhooks/order-released.ts';
import { openTurns } from '../store/workers/match-requests.ts';
import {
  allMatchingQueues,
  type ListedMatchingQueue,
  removeEmptyMatchingQueue,
} from '../store/workers/matching-queues.ts';
import { requestMatching } from './matching.ts';
import { MissingJobs } from './missing-jobs.ts';
import { type MayContinue, PeriodicTask } from './periodic-task.ts';

const SWEEP_EVERY_MS = 10_000;
/** How long after its due time a job should have run, ms. */
const GRACE_MS = 3_000;
const BATCH = 500;
/** Delay before a member that only a newer process can read is tried again, ms. */
const RETRY_NEWER_AFTER_MS = 30_000;
/** Age at which failed jobs are run once more, ms; their records may have changed since. */
const RERUN_FAILED_AFTER_MS = 600_000;
/** The lock of a sweeper that died ends after this, ms. */
const LOCK_MS = 30_000;

/** Tasks at the head of a matching queue that are tried until one can be read. */
const HEAD_TASKS = 10;

/** Patterns of the index members. */
const TWO_IDS = /^\S+ \S+$/;
const THREE_IDS = /^\S+ \S+ \S+$/;
const DELIVERY = /^\S+ \S+ \d+( \S+)?$/;
/** Deliveries of each backlog that a sweep releases; the process that sends them releases the rest. */
const RELEASED_PER_BACKLOG = 4;

export class Sweeper {
  readonly #db: Db;
  readonly #queues: Queues;
  readonly #log: Log;
  readonly #task: PeriodicTask;
  #areOrgsListed = false;
  readonly #missing: MissingJobs;
  /** Members that failed on their own since the start. */
  failed = 0;

  constructor(options: { db: Db; queues: Queues; log: Log; every?: number | undefined }) {
    const { db, queues, log, every = SWEEP_EVERY_MS } = options;
    this.#db = db;
    this.#queues = queues;
    this.#log = log;
    this.#missing = new MissingJobs(db, queues);
    this.#task = new PeriodicTask({
      db,
      log,
      name: 'sweep',
      every,
      lockMs: LOCK_MS,
      keepsLock: true,
      run: async (mayContinue) => {
        const jobsAdded = await this.sweep(mayContinue);
        if (jobsAdded > 0) log.warn({ repaired: jobsAdded }, 'sweeper added missing jobs');
      },
    });
  }

  /** Jobs added since the start. */
  get jobsAdded(): number {
    return this.#missing.added;
  }

  start(): void {
    this.#task.start();
  }

  close(): Promise<void> {
    return this.#task.close();
  }

  /**
   * Sweeps once. @param mayContinue called after each partition.
   * @returns the number of jobs added.
   */
  async sweep(mayContinue: MayContinue = async () => true): Promise<number> {
    const now = this.#db.clock.now();
    // One suffix per 30 s: a job added twice within it gets the same id.
    const idSuffix = `r${Math.floor(now / 30_000)}`;
    const before = this.jobsAdded;
    for (const partition of PARTITIONS) {
      const keys = partitionKeys(this.#db.prefix, partition);
      const forEachOverdue = (
        key: string,
        pattern: RegExp,
        act: (member: string, score: number) => Promise<unknown>,
      ) => this.#reportingFailure(key, () => this.#eachOverdue({ partition, key, pattern, now }, act));
      await forEachOverdue(keys.due, TWO_IDS, (member, score) =>
        this.#runOverdueChecks(keys.due, member, score, now, idSuffix),
      );
      await forEachOverdue(keys.pendingDeliveries, DELIVERY, (member, score) =>
        this.#deliverOverdue(member, score, now, idSuffix),
      );
      await forEachOverdue(keys.pendingNotices, THREE_IDS, (member) =>
        this.#continueNotice(member, idSuffix),
      );
      await forEachOverdue(keys.orphanedReservations, THREE_IDS, (member) =>
        this.#releaseOrphanedReservation(member, idSuffix),
      );
      await forEachOverdue(keys.removedPools, TWO_IDS, (member, at) =>
        this.#releasePoolMembers(member, at, idSuffix),
      );
      await forEachOverdue(keys.replays, TWO_IDS, (member) => this.#continueReplay(member, idSuffix));
      await forEachOverdue(keys.bulkActions, TWO_IDS, (member) => this.#continueBulkAction(member, idSuffix));
      await this.#reportingFailure(keys.matchTurns, () =>
        this.#continueTurns(keys.matchTurns, now, idSuffix),
      );
      await this.#reportingFailure(keys.backlogged, () => this.#releaseBacklogs(keys.backlogged, now));
      await forEachOverdue(keys.orderReleased, TWO_IDS, (member, score) =>
        this.#releaseOrderedDeliveries(keys.orderReleased, member, score, now),
      );
      if (!(await mayContinue())) return this.jobsAdded - before;
    }
    if (!this.#areOrgsListed) await completeOrgLists(this.#db);
    this.#areOrgsListed = true;
    for (const orgId of await allTenants(this.#db))
      await this.#reportingFailure(orgKeysOf(this.#db.prefix, orgId).matchingQueues, () =>
        this.#requestMatches(orgId, now),
      );
    for (const queue of Object.values(this.#queues.all)) {
      await this.#reportingFailure(queue.name, () => this.#shortenLocks(queue));
      await this.#reportingFailure(queue.name, () =>
        queue.retryJobs({ state: 'failed', timestamp: this.#db.clock.now() - RERUN_FAILED_AFTER_MS }),
      );
    }
    return this.jobsAdded - before;
  }

  /** Runs `act`; an error of its own is reported under `name`. */
  async #reportingFailure(name: string, act: () => Promise<unknown>): Promise<void> {
    const failed = await forEachIntact(this.#db, [name], () => name, act);
    this.failed += failed;
  }

  /** Runs `act` for each overdue member of an index. */
  async #eachOverdue(
    { partition, key, pattern, now }: { partition: string; key: string; pattern: RegExp; now: number },
    act: (member: string, score: number) => Promise<unknown>,
  ): Promise<void> {
    for (const [member, score] of await this.#overdue(key, now)) {
      if (!pattern.test(member)) {
        const reason = 'the member of an index is malformed';
        this.#log.error({ index: key, member }, `${reason}, and is set aside`);
        await moveMemberToDead(this.#db, partition, key, { name: member, score, reason });
        this.failed += 1;
        continue;
      }
      try {
        await act(member, score);
      } catch (error) {
        if (!concernsOneItem(error)) throw error;
        this.failed += 1;
        reportFailed(this.#db, `${key} ${member}`, error);
        const isNewer = error instanceof UnreadableRecord && error.kind === 'newer';
        const retryAt = now + (isNewer ? RETRY_NEWER_AFTER_MS : RETRY_UNREADABLE_AFTER_MS);
        await commit(this.#db.redis, {
          guards: [{ kind: 'score', key, member, score }],
          writes: [['ZADD', key, 'XX', retryAt, member]],
        });
      }
    }
  }

  async #runOverdueChecks(
    key: string,
    member: string,
    score: number,
    now: number,
    idSuffix: string,
  ): Promise<void> {
    const [orgId = '', taskId = ''] = member.split(' ');
    const stored = await loadTask(this.#db, orgId, taskId);
    const overdue = stored
      ? checksOf(stored.task)
          .filter((one) => one.kind !== 'match')
          .filter((one) => one.at <= now - GRACE_MS)
      : [];
    // Outdated; the guard keeps it if the task has changed since it was loaded.
    if (overdue.length === 0)
      await commit(this.#db.redis, {
        guards: [{ kind: 'score', key, member, score }],
        writes: [['ZREM', key, member]],
      });
    const about = { org_id: orgId, task_id: taskId, version: stored?.task.version ?? 0 };
    for (const check of overdue)
      await this.#missing.add([checkJob(about, check, now)], checkJob(about, check, now, idSuffix));
  }

  async #deliverOverdue(member: string, score: number, now: number, idSuffix: string): Promise<void> {
    const about = readPendingMember(member);
    await this.#missing.add([deliveryJob(about), retryJob(about, score, now)], deliveryJob(about, idSuffix));
  }

  /** Releases the first deliveries of each backlog, in case no process does. */
  async #releaseBacklogs(key: string, now: number): Promise<void> {
    const nameOf = (one: { org_id: string; receiver: string }) =>
      orgKeysOf(this.#db.prefix, one.org_id).backlog(one.receiver);
    const backlogged = await backloggedReceivers(this.#db, key);
    const failed = await forEachIntact(this.#db, backlogged, nameOf, async ({ org_id, receiver }) => {
      const { released } = await releaseBacklog(this.#db, org_id, receiver, RELEASED_PER_BACKLOG);
      await this.#queues.add(released.map((target) => backlogJob(target, now)));
    });
    this.failed += failed;
  }

  /**
   * Releases deliveries that wait for earlier events of an endpoint whose ordering was switched off. By now all processes
   * know of the change, so no more deliveries start to wait.
   */
  async #releaseOrderedDeliveries(key: string, member: string, score: number, now: number): Promise<void> {
    const [orgId = '', endpointId = ''] = member.split(' ');
    for await (const all of releaseOrdered(this.#db, orgId, endpointId))
      await this.#queues.add(all.map((target) => orderedJob(target, now)));
    await commit(this.#db.redis, {
      guards: [{ kind: 'score', key, member, score }],
      writes: [['ZREM', key, member]],
    });
  }

  async #releaseOrphanedReservation(member: string, idSuffix: string): Promise<void> {
    const [org_id = '', worker_id = '', task_id = ''] = member.split(' ');
    await this.#missing.add([], orphanedReservationJob({ org_id, worker_id, task_id }, idSuffix));
  }

  async #releasePoolMembers(member: string, at: number, idSuffix: string): Promise<void> {
    const [org_id = '', pool_id = ''] = member.split(' ');
    const about = { org_id, pool_id, at };
    await this.#missing.add([poolJob(about)], poolJob(about, idSuffix));
  }

  async #continueNotice(member: string, idSuffix: string): Promise<void> {
    const [org_id = '', worker_id = '', notice_id = ''] = member.split(' ');
    const about = { org_id, worker_id, notice_id };
    await this.#missing.add([noticeJob(about)], noticeJob(about, idSuffix));
  }

  async #continueReplay(member: string, idSuffix: string): Promise<void> {
    const [org_id = '', replay_id = ''] = member.split(' ');
    const about = { org_id, replay_id };
    await this.#missing.add([replayJob(about)], replayJob(about, idSuffix));
  }

  async #continueBulkAction(member: string, idSuffix: string): Promise<void> {
    const [org_id = '', bulk_action_id = ''] = member.split(' ');
    const about = { org_id, bulk_action_id };
    await this.#missing.add([bulkActionJob(about)], bulkActionJob(about, idSuffix));
  }

  /** Adds the missing jobs of turns that have not ended. The turn of a suspended org waits. */
  async #continueTurns(key: string, now: number, idSuffix: string): Promise<void> {
    for (const { org_id, turn, since } of await openTurns(this.#db, key))
      if (since <= now - GRACE_MS && !(await isSuspended(this.#db, org_id)))
        await this.#missing.add([matchingJob(org_id, turn)], matchingJob(org_id, turn, idSuffix));
  }

  /** The overdue members of an index, with their scores. */
  async #overdue(key: string, now: number): Promise<[member: string, score: number][]> {
    const { redis } = this.#db;
    const flat = await redis.zrangebyscore(key, 0, now - GRACE_MS, 'WITHSCORES', 'LIMIT', 0, BATCH);
    return Array.from({ length: flat.length / 2 }, (_, index) => [
      flat[2 * index] ?? '',
      Number(flat[2 * index + 1]),
    ]);
  }

  /**
   * Requests a match for the first task of each matching queue while workers are ready: we cannot see whether
   * a request was lost, so it is requested again. Also removes empty matching queues.
   */
  async #requestMatches(orgId: string, now: number): Promise<void> {
    const requests: MatchRequest[] = [];
    const keys = orgKeysOf(this.#db.prefix, orgId);
    const ready = await this.#db.redis.zcard(keys.readyBy('rating'));
    const matchingQueues = await allMatchingQueues(this.#db, orgId);
    const nameOf = (matchingQueue: ListedMatchingQueue) => keys.matchingQueue(matchingQueue.id);
    const failed = await forEachIntact(this.#db, matchingQueues, nameOf, async (matchingQueue) => {
      const headTasks = await this.#db.redis.zrange(
        keys.matchingQueue(matchingQueue.id),
        0,
        `${HEAD_TASKS - 1}`,
      );
      if (headTasks.length === 0) return removeEmptyMatchingQueue(this.#db, orgId, matchingQueue);
      if (ready === 0) return;
      const stored = await this.#firstReadable(orgId, headTasks.map(taskOfQueueMember));
      if (stored?.task.status !== 'queued' || stored.task.status_changed_at > now - GRACE_MS) return;
      requests.push({ kind: 'task', task_id: stored.task.task_id, pool: poolOf(stored.task) });
    });
    this.failed += failed;
    await requestMatching(this.#db, this.#queues, orgId, requests);
  }

  async #firstReadable(orgId: string, ids: readonly string[]): Promise<StoredTask | null> {
    for (const id of ids) {
      const stored = await nullIfUnreadable(this.#db, () => loadTask(this.#db, orgId, id));
      if (stored !== null) return stored;
    }
    return null;
  }

  /** Shortens locks of BullMQ that last for hours because Redis' clock went back; such jobs would not be taken over. */
  async #shortenLocks(queue: Queue): Promise<void> {
    const { redis } = this.#db;
    const active = await redis.lrange(queue.toKey('active'), 0, -1);
    const locks = active.map((id) => `${queue.toKey(id)}:lock`);
    await Promise.all([queue.toKey('stalled-check'), ...locks].map((key) => shortenTtl(redis, key, LOCK_MS)));
  }
}
