// The BullMQ queues of all shards, opened to add and remove jobs. A job goes to the shard of its org.

import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { DEFAULTS, EVENTS_KEPT, type NewJob, QUEUES, type QueueName } from './catalogue.ts';
import { KnownMoments } from './known-moments.ts';
import { backendBy, type Now } from './redis-time.ts';
import { allShards, queuePrefix, type ShardConnections, shardOfOrg, shardOfPartition } from './shards.ts';

/** The queues of one shard. */
export interface QueueShard {
  index: number;
  /** To the server that has the shard. */
  redis: Redis;
  all: Record<QueueName, Queue>;
}

export interface QueuesOptions {
  /** The connections stay open after `close`; the caller closes them. */
  connectionOf: ShardConnections;
  /** First part of every key. */
  prefix: string;
  /** Number of shards; one by default. */
  shards?: number | undefined;
  /** Redis' time, ms; delays are counted from it. */
  now: Now;
}

/** Adds jobs: to their queues, or to run at once. */
export type AddJobs = Pick<Queues, 'add'>;

/** The queues of the catalogue, in each shard. */
export class Queues {
  readonly shards: readonly [QueueShard, ...QueueShard[]];
  readonly #now: Now;
  readonly #moments = new KnownMoments();
  readonly #open: (index: number) => QueueShard;

  constructor({ connectionOf, prefix, shards = 1, now }: QueuesOptions) {
    this.#now = now;
    this.#open = (index) => openShard(index, connectionOf(index), prefix, now);
    const [first = 0, ...others] = allShards(shards);
    this.shards = [this.#open(first), ...others.map(this.#open)];
  }

  /** The shard with the jobs of an org. */
  shardOf(orgId: string): QueueShard {
    return this.shards[shardOfOrg(orgId, this.shards.length)] ?? this.shards[0];
  }

  /** The shard that a job belongs to. @param data of the job, which names an org or a partition */
  shardOfJob(data: unknown): QueueShard {
    const { org_id, partition }: { org_id?: unknown; partition?: unknown } = Object(data);
    if (typeof partition !== 'string') return this.shardOf(String(org_id));
    return this.shards[shardOfPartition(partition, this.shards.length)] ?? this.shards[0];
  }

  /** The queues of this name in all shards. */
  named(name: QueueName): Queue[] {
    return this.shards.map(({ all }) => all[name]);
  }

  /** Runs `act` with these shards and with those beyond, of which there were `count` before their number was changed. */
  async withShards<R>(count: number, act: (shards: readonly QueueShard[]) => Promise<R>): Promise<R> {
    const former = allShards(count).slice(this.shards.length).map(this.#open);
    try {
      return await act([...this.shards, ...former]);
    } finally {
      await Promise.all(former.map(closeShard));
    }
  }

  /** Adds jobs in one round trip. A job whose id already exists is not changed, and a moment's job is added once. */
  async add(jobs: readonly NewJob[]): Promise<void> {
    // Not `addBulk`: it runs a transaction, which costs more than pipelined commands and is not needed here.
    const timestamp = this.#now();
    const added = this.#moments.unknown(jobs, timestamp);
    try {
      await Promise.all(
        added.map(({ queue, name, data, opts }) =>
          this.shardOfJob(data).all[queue].add(name, data, { ...opts, timestamp }),
        ),
      );
    } catch (error) {
      this.#moments.forget(added);
      throw error;
    }
  }

  /** Adds jobs that may have been lost since they were added. One that exists is not changed. */
  async addAgain(jobs: readonly NewJob[]): Promise<void> {
    this.#moments.forget(jobs);
    await this.add(jobs);
  }

  /** Removes delayed jobs of an org from its `sla` queue. A job that is running or does not exist is skipped. */
  async drop(orgId: string, jobIds: readonly string[]): Promise<void> {
    const { sla } = this.shardOf(orgId).all;
    await Promise.all(jobIds.map((id) => sla.remove(id)));
  }

  /** Closes the queues, not the connections. */
  async close(): Promise<void> {
    await Promise.all(this.shards.map(closeShard));
  }
}

/** Opens the queues of a shard. @param redis stays open when the shard is closed. */
function openShard(index: number, redis: Redis, prefix: string, now: Now): QueueShard {
  const open = (name: QueueName): [QueueName, Queue] => {
    const queue = new Queue(
      name,
      {
        connection: redis,
        prefix: queuePrefix(prefix, index),
        // BullMQ waits once for the connection and its version, and a failure of that lasts as long as the queue. The
        // owner of the connection reconnects, and the start-up check looks at the version.
        skipWaitingForReady: true,
        skipVersionCheck: true,
        defaultJobOptions: DEFAULTS[name],
        streams: { events: { maxLen: EVENTS_KEPT } },
      },
      backendBy(now),
    );
    // The owner of the connection handles its errors. Without a listener here they would end the process.
    queue.on('error', () => undefined);
    return [name, queue];
  };
  return { index, redis, all: Object.fromEntries(QUEUES.map(open)) as Record<QueueName, Queue> };
}

/** Closes the queues of a shard. */
async function closeShard({ all }: QueueShard): Promise<void> {
  await Promise.all(Object.values(all).map((queue) => queue.close()));
}

/** The score of a delayed job in BullMQ is its due time, ms, times this. */
const DELAY_UNIT = 0x1000;

/** When the delay of a job ends, ms; null when it is not delayed. */
export async function delayedUntil({ redis, all }: QueueShard, name: QueueName, id: string) {
  const score = await redis.zscore(all[name].toKey('delayed'), id);
  return score === null ? null : Number(score) / DELAY_UNIT;
}
