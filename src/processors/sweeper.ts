// Adds jobs that should exist and do not. Jobs are lost when a backup of Redis is restored, a queue is flushed or a
// failover loses writes. The indexes of checks, deliveries, replays, bulk actions and turns say which jobs should exist; the
// sweeper walks what is overdue in them (`overdue-members.ts`), adds missing jobs and counts them.

import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
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
} from '../queues/new-jobs.ts';
import type { QueueShard, Queues } from '../queues/queues.ts';
import { checksOf } from '../state/tasks/scheduled-checks.ts';
import { allTenants, completeOrgLists } from '../store/identity/orgs.ts';
import { isSuspended } from '../store/identity/suspension.ts';
import type { Db } from '../store/redis/connection.ts';
import { orgKeysOf, partitionKeys } from '../store/redis/keys.ts';
import type { Log } from '../store/redis/log.ts';
import { partitionsWith } from '../store/redis/partition-counts.ts';
import type { Scored } from '../store/redis/score-pages.ts';
import { shortenTtl } from '../store/redis/ttl.ts';
import { forEachIntact } from '../store/redis/unreadable.ts';
import { loadTask } from '../store/tasks/tasks.ts';
import { backloggedReceivers, releaseBacklog } from '../store/webhooks/backlog.ts';
import { readPendingMember } from '../store/webhooks/delivery-target.ts';
import { releaseOrdered } from '../store/webhooks/order-released.ts';
import { openTurns } from '../store/workers/match-requests.ts';
import { LostMoments } from './lost-moments.ts';
import { sweepMatchingQueues } from './matching-sweep.ts';
import { MissingJobs } from './missing-jobs.ts';
import { forEachOverdue, removeMember } from './overdue-members.ts';
import { type MayContinue, PeriodicTask } from './periodic-task.ts';
import { moveJobs } from './shard-moves.ts';

const SWEEP_EVERY_MS = 10_000;
/** How long after its due time a job should have run, ms. */
const GRACE_MS = 3_000;
/** Age at which failed jobs are run once more, ms; their records may have changed since. */
const RERUN_FAILED_AFTER_MS = 600_000;
/** The lock of a sweeper that died ends after this, ms. */
const LOCK_MS = 30_000;

/** Patterns of the index members. */
const TWO_IDS = /^\S+ \S+$/;
const THREE_IDS = /^\S+ \S+ \S+$/;
const DELIVERY = /^\S+ \S+ \d+( \S+)?$/;
/** The indexes that are swept, and the command that counts what they hold, or what of it is due. */
const SWEPT = [
  ['due', 'ZCOUNT'],
  ['pendingDeliveries', 'ZCOUNT'],
  ['pendingNotices', 'ZCOUNT'],
  ['orphanedReservations', 'ZCOUNT'],
  ['removedPools', 'ZCOUNT'],
  ['replays', 'ZCOUNT'],
  ['bulkActions', 'ZCOUNT'],
  ['matchTurns', 'HLEN'],
  ['backlogged', 'SCARD'],
  ['orderReleased', 'ZCOUNT'],
] as const;
/** Shards whose locks and failed jobs a sweep looks at. */
const SHARDS_A_ROUND = 4;
/** Deliveries of each backlog that a sweep releases; the process that sends them releases the rest. */
const RELEASED_PER_BACKLOG = 4;

export class Sweeper {
  readonly #db: Db;
  readonly #queues: Queues;
  readonly #log: Log;
  readonly #task: PeriodicTask;
  #areOrgsListed = false;
  /** Sweeps since the start. */
  #rounds = 0;
  readonly #missing: MissingJobs;
  readonly #lostMoments: LostMoments;
  /** Members that failed on their own since the start. */
  failed = 0;

  constructor(options: { db: Db; queues: Queues; log: Log; every?: number | undefined }) {
    const { db, queues, log, every = SWEEP_EVERY_MS } = options;
    this.#db = db;
    this.#queues = queues;
    this.#log = log;
    this.#missing = new MissingJobs(db, queues);
    this.#lostMoments = new LostMoments({ db, queues, missing: this.#missing });
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
   * Sweeps once. @param mayContinue called after each partition with work, and after each page of members that needed repair.
   * @returns the number of jobs added.
   */
  async sweep(mayContinue: MayContinue = async () => true): Promise<number> {
    const now = this.#db.clock.now();
    // One suffix per 30 s: a job added twice within it gets the same id.
    const idSuffix = `r${Math.floor(now / 30_000)}`;
    const before = this.jobsAdded;
    const round = this.#rounds++;
    // First, or the jobs would be missing in the shards where they belong.
    await this.#reportingFailure('queue shards', () =>
      moveJobs({ db: this.#db, queues: this.#queues, log: this.#log }, mayContinue),
    );
    for (const [partition, due] of await this.#partitionsWithWork(now - GRACE_MS)) {
      const keys = partitionKeys(this.#db.prefix, partition);
      const walk = async (
        key: string,
        pattern: RegExp,
        act: (member: string, score: number) => Promise<unknown>,
      ) => {
        if (!due.has(key)) return;
        await this.#reportingFailure(key, async () => {
          const index = { partition, key, pattern };
          // Where the jobs of a whole page exist, those of later members do too, as a rule: a queue has not been lost, but is long.
          let addedBefore = this.jobsAdded;
          const goOn = async () => {
            const isRepairing = this.jobsAdded > addedBefore;
            addedBefore = this.jobsAdded;
            return isRepairing && (await mayContinue());
          };
          const failed = await forEachOverdue(this.#db, this.#log, index, now - GRACE_MS, act, goOn);
          this.failed += failed;
        });
      };
      await walk(keys.due, TWO_IDS, (member, score) =>
        this.#runOverdueChecks(keys.due, partition, [member, score], now, idSuffix),
      );
      await walk(keys.pendingDeliveries, DELIVERY, (member, score) =>
        this.#deliverOverdue(member, score, now, idSuffix),
      );
      await walk(keys.pendingNotices, THREE_IDS, (member) => this.#continueNotice(member, idSuffix));
      await walk(keys.orphanedReservations, THREE_IDS, (member) =>
        this.#releaseOrphanedReservation(member, idSuffix),
      );
      await walk(keys.removedPools, TWO_IDS, (member, at) => this.#releasePoolMembers(member, at, idSuffix));
      await walk(keys.replays, TWO_IDS, (member) => this.#continueReplay(member, idSuffix));
      await walk(keys.bulkActions, TWO_IDS, (member) => this.#continueBulkAction(member, idSuffix));
      if (due.has(keys.matchTurns))
        await this.#reportingFailure(keys.matchTurns, () =>
          this.#continueTurns(keys.matchTurns, now, idSuffix),
        );
      if (due.has(keys.backlogged))
        await this.#reportingFailure(keys.backlogged, () => this.#releaseBacklogs(keys.backlogged, now));
      await walk(keys.orderReleased, TWO_IDS, (member, score) =>
        this.#releaseOrderedDeliveries(keys.orderReleased, member, score, now),
      );
      if (!(await mayContinue())) return this.jobsAdded - before;
    }
    if (!this.#areOrgsListed) await completeOrgLists(this.#db);
    this.#areOrgsListed = true;
    for (const orgId of await allTenants(this.#db))
      await this.#reportingFailure(orgKeysOf(this.#db.prefix, orgId).matchingQueues, async () => {
        const failed = await sweepMatchingQueues(this.#db, this.#queues, orgId, now - GRACE_MS, round);
        this.failed += failed;
      });
    for (const { redis, all } of shardsOfRound(this.#queues.shards, round))
      for (const queue of Object.values(all)) {
        await this.#reportingFailure(queue.name, () => this.#shortenLocks(redis, queue));
        await this.#reportingFailure(queue.name, () =>
          queue.retryJobs({ state: 'failed', timestamp: this.#db.clock.now() - RERUN_FAILED_AFTER_MS }),
        );
      }
    return this.jobsAdded - before;
  }

  /** The partitions in which something is due, in their order, each with the keys of the indexes that say so. @param until ms */
  async #partitionsWithWork(until: number): Promise<[partition: string, keys: Set<string>][]> {
    const used = await partitionsWith(this.#db, (keys) => [['EXISTS', ...SWEPT.map(([name]) => keys[name])]]);
    const work = new Map(used.map((partition) => [partition, new Set<string>()]));
    await Promise.all(
      SWEPT.map(async ([name, countWith]) => {
        const range = countWith === 'ZCOUNT' ? [0, until] : [];
        const due = await partitionsWith(this.#db, (keys) => [[countWith, keys[name], ...range]], used);
        for (const partition of due)
          work.get(partition)?.add(partitionKeys(this.#db.prefix, partition)[name]);
      }),
    );
    return [...work].filter(([, keys]) => keys.size > 0);
  }

  /** Runs `act`; an error of its own is reported under `name`. */
  async #reportingFailure(name: string, act: () => Promise<unknown>): Promise<void> {
    const failed = await forEachIntact(this.#db, [name], () => name, act);
    this.failed += failed;
  }

  /** Adds a job that runs all overdue checks of the partition, or the job of a verification. */
  async #runOverdueChecks(
    key: string,
    partition: string,
    [member, score]: Scored,
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
    if (overdue.length === 0) await removeMember(this.#db, key, member, score);
    const about = { org_id: orgId, task_id: taskId, version: stored?.task.version ?? 0 };
    for (const check of overdue)
      if (check.kind === 'verify')
        await this.#missing.add([checkJob(about, check, now)], checkJob(about, check, now, idSuffix));
    if (overdue.every(({ kind }) => kind === 'verify')) return;
    await this.#lostMoments.repair(partition, score, now, idSuffix);
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
    await removeMember(this.#db, key, member, score);
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

  /** Shortens locks of BullMQ that last for hours because Redis' clock went back; such jobs would not be taken over. */
  async #shortenLocks(redis: Redis, queue: Queue): Promise<void> {
    const active = await redis.lrange(queue.toKey('active'), 0, -1);
    const locks = active.map((id) => `${queue.toKey(id)}:lock`);
    await Promise.all([queue.toKey('stalled-check'), ...locks].map((key) => shortenTtl(redis, key, LOCK_MS)));
  }
}

/** The shards whose turn it is. */
function shardsOfRound(shards: readonly QueueShard[], round: number): readonly QueueShard[] {
  const rounds = Math.ceil(shards.length / SHARDS_A_ROUND);
  return shards.filter(({ index }) => index % rounds === round % rounds);
}
