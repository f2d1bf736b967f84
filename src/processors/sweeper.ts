// Walks what is due and looks whether the job for it is still there. Jobs can be lost by what happens to
// Redis from outside (a restored backup, a flushed queue, a failover); the records say what ought to be
// asked and delivered, so whatever is missing is made again, and counted.

import {
  deliveryJob,
  fedJob,
  leftJob,
  matchingJob,
  type NewJob,
  questionJob,
  replayJob,
  retryJob,
} from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import { taskInPlace } from '../state/matching.ts';
import type { MatchRequest } from '../state/outbox.ts';
import { questions } from '../state/questions.ts';
import { poolOf } from '../state/task.ts';
import { commit } from '../store/commit.ts';
import { readOwed } from '../store/delivery-places.ts';
import { orgKeysOf, PARTITIONS, partitionKeys } from '../store/keys.ts';
import { allLanes, forgetEmptyLane } from '../store/lanes.ts';
import { openTurns } from '../store/match-requests.ts';
import { allTenants } from '../store/orgs.ts';
import type { Db } from '../store/redis.ts';
import { loadTasks } from '../store/tasks.ts';
import { shortenTtl } from '../store/ttl.ts';
import { letGo } from '../store/unordered.ts';
import { crowdedReceivers, letOut } from '../store/waiting.ts';
import type { Log } from './log.ts';
import { requestMatching } from './matching.ts';

const EVERY = 10_000;
/** What is overdue by this much ought to have been asked, ms. */
const GRACE = 3_000;
const BATCH = 500;
/** Of those who wait for a receiver, so many are let out by a sweep: whoever makes their deliveries does the rest. */
const LET_OUT = 4;

export class Sweeper {
  readonly #db: Db;
  readonly #queues: Queues;
  readonly #log: Log;
  readonly #every: number;
  #timer: NodeJS.Timeout | null = null;
  #sweeping: Promise<void> | null = null;
  /** Jobs made again since the start. */
  repaired = 0;

  constructor(options: { db: Db; queues: Queues; log: Log; every?: number }) {
    this.#db = options.db;
    this.#queues = options.queues;
    this.#log = options.log;
    this.#every = options.every ?? EVERY;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#sweeping ??= this.#guardedSweep().finally(() => {
        this.#sweeping = null;
      });
    }, this.#every);
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#sweeping;
  }

  async #guardedSweep(): Promise<void> {
    try {
      // One process at a time is enough; the lock only saves work.
      const lock = `${this.#db.prefix}:sweep`;
      const life = this.#every - 100;
      if ((await this.#db.redis.set(lock, '1', 'PX', life, 'NX')) === null)
        return await shortenTtl(this.#db.redis, lock, life);
      const repaired = await this.sweep();
      if (repaired > 0) this.#log.warn({ repaired }, 'sweeper made lost jobs again');
    } catch (error) {
      this.#log.warn({ err: error }, 'sweep interrupted');
    }
  }

  /** One walk. @returns how many jobs were made again. */
  async sweep(): Promise<number> {
    const now = this.#db.clock.now();
    // The same within half a minute: what is repaired is not repaired again while it waits its turn.
    const repair = `r${Math.floor(now / 30_000)}`;
    let count = 0;
    for (const partition of PARTITIONS) {
      const keys = partitionKeys(this.#db.prefix, partition);
      count += await this.#askOverdue(keys.due, now, repair);
      count += await this.#deliverOverdue(keys.owed, now, repair);
      count += await this.#takeFromRemoved(keys.left, now, repair);
      count += await this.#goOnReplaying(keys.replays, now, repair);
      count += await this.#continueTurns(keys.matchTurns, now, repair);
      await this.#letOutWaiting(keys.crowded, now);
      await this.#letGoUnordered(keys.unordered, now);
    }
    for (const orgId of await allTenants(this.#db)) await this.#matchWaiting(orgId, now);
    this.repaired += count;
    return count;
  }

  async #askOverdue(key: string, now: number, repair: string): Promise<number> {
    let count = 0;
    for (const [member, score] of await this.#overdue(key, now)) {
      const [orgId = '', taskId = ''] = member.split(' ');
      const [stored] = await loadTasks(this.#db, orgId, [taskId]);
      const overdue = stored
        ? questions(stored.task).filter((one) => one.kind !== 'match' && one.at <= now - GRACE)
        : [];
      // Nothing of the task is due: only the index says so, unless the task has changed since it was read.
      if (overdue.length === 0)
        await commit(this.#db.redis, [{ kind: 'score', key, member, score }], [['ZREM', key, member]]);
      const about = { org_id: orgId, task_id: taskId, version: stored?.task.version ?? 0 };
      for (const question of overdue)
        count += await this.#repair(
          [questionJob(about, question, now)],
          questionJob(about, question, now, repair),
        );
    }
    return count;
  }

  async #deliverOverdue(key: string, now: number, repair: string): Promise<number> {
    let count = 0;
    for (const [member, score] of await this.#overdue(key, now)) {
      const about = readOwed(member);
      const originals = [deliveryJob(about), retryJob(about, score, now)];
      count += await this.#repair(originals, deliveryJob(about, repair));
    }
    return count;
  }

  /** Lets out the first of those who wait for a receiver, in case that all who would have done so are gone. */
  async #letOutWaiting(key: string, now: number): Promise<void> {
    for (const { org_id, receiver } of await crowdedReceivers(this.#db, key)) {
      const { out } = await letOut(this.#db, org_id, receiver, LET_OUT);
      await this.#queues.add(out.map((owed) => fedJob(owed, now)));
    }
  }

  /**
   * Lets go what waits for earlier events where an endpoint is told in order no more. By now everybody has heard of
   * the change, so that nothing more comes to wait there.
   */
  async #letGoUnordered(key: string, now: number): Promise<void> {
    for (const [member, score] of await this.#overdue(key, now)) {
      const [orgId = '', endpointId = ''] = member.split(' ');
      for await (const all of letGo(this.#db, orgId, endpointId))
        await this.#queues.add(all.map((owed) => deliveryJob(owed, `n${now.toString(36)}`)));
      await commit(this.#db.redis, [{ kind: 'score', key, member, score }], [['ZREM', key, member]]);
    }
  }

  async #takeFromRemoved(key: string, now: number, repair: string): Promise<number> {
    let count = 0;
    for (const [member, at] of await this.#overdue(key, now)) {
      const [org_id = '', worker_id = '', task_id = ''] = member.split(' ');
      const job = leftJob({ org_id, worker_id, task_id }, at, repair);
      count += await this.#repair([], job);
    }
    return count;
  }

  async #goOnReplaying(key: string, now: number, repair: string): Promise<number> {
    let count = 0;
    for (const [member] of await this.#overdue(key, now)) {
      const [org_id = '', replay_id = ''] = member.split(' ');
      const about = { org_id, replay_id };
      count += await this.#repair([replayJob(about)], replayJob(about, repair));
    }
    return count;
  }

  /** Makes the jobs again of turns that have not ended and have none. */
  async #continueTurns(key: string, now: number, repair: string): Promise<number> {
    let count = 0;
    for (const { org_id, turn, since } of await openTurns(this.#db, key))
      if (since <= now - GRACE)
        count += await this.#repair([matchingJob(org_id, turn)], matchingJob(org_id, turn, repair));
    return count;
  }

  /** The members of an index that ought to have been dealt with, with their scores. */
  async #overdue(key: string, now: number): Promise<[member: string, score: number][]> {
    const { redis } = this.#db;
    const flat = await redis.zrangebyscore(key, 0, now - GRACE, 'WITHSCORES', 'LIMIT', 0, BATCH);
    return Array.from({ length: flat.length / 2 }, (_, index) => [
      flat[2 * index] ?? '',
      Number(flat[2 * index + 1]),
    ]);
  }

  /**
   * Tasks wait while workers are ready: requests the first of each lane again, since nothing tells a lost
   * request from workers who do not fit. Also forgets lanes nobody waits in.
   */
  async #matchWaiting(orgId: string, now: number): Promise<void> {
    const requests: MatchRequest[] = [];
    const keys = orgKeysOf(this.#db.prefix, orgId);
    const ready = await this.#db.redis.zcard(keys.readyBy('rating'));
    for (const lane of await allLanes(this.#db, orgId)) {
      const [head] = await this.#db.redis.zrange(keys.lane(lane.id), 0, '0');
      if (head === undefined) {
        await forgetEmptyLane(this.#db, orgId, lane);
        continue;
      }
      if (ready === 0) continue;
      const [stored] = await loadTasks(this.#db, orgId, [taskInPlace(head)]);
      if (stored?.task.status !== 'queued' || stored.task.since > now - GRACE) continue;
      requests.push({ kind: 'task', task_id: stored.task.task_id, pool: poolOf(stored.task) });
    }
    await requestMatching(this.#db, this.#queues, orgId, requests);
  }

  /** Makes a job again under another name unless one of those it had is still to be run. @returns 1 if it did. */
  async #repair(originals: readonly NewJob[], again: NewJob): Promise<number> {
    for (const job of [...originals, again]) {
      const state = await this.#queues.all[job.queue].getJobState(job.opts.jobId);
      if (state === 'waiting' || state === 'active' || state === 'delayed' || state === 'prioritized')
        return 0;
    }
    await this.#queues.add([again]);
    return 1;
  }
}
