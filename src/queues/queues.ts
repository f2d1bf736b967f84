// The BullMQ queues of all shards, opened to add and remove jobs. A job goes to the shard of its org.

import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { DEFAULTS, EVENTS_KEPT, type NewJob, QUEUES, type QueueName } from './catalogue.ts';
import { backendBy, type Now } from './redis-time.ts';
import { allShards, queuePrefix, type ShardConnections, shardOfOrg } from './shards.ts';

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

/** The queues of the catalogue, in each shard. */
export class Queues {
  readonly shards: readonly [QueueShard, ...QueueShard[]];
  readonly #now: Now;

  constructor({ connectionOf, prefix, shards = 1, now }: QueuesOptions) {
    this.#now = now;
    const open = (index: number) => openShard(index, connectionOf(index), prefix, now);
    const [first = 0, ...others] = allShards(shards);
    this.shards = [open(first), ...others.map(open)];
  }

  /** The shard with the jobs of an org. */
  shardOf(orgId: string): QueueShard {
    return this.shards[shardOfOrg(orgId, this.shards.length)] ?? this.shards[0];
  }

  /** The queues of this name in all shards. */
  named(name: QueueName): Queue[] {
    return this.shards.map(({ all }) => all[name]);
  }

  /** Adds jobs in one round trip. A job whose id already exists is not changed. */
  async add(jobs: readonly NewJob[]): Promise<void> {
    // Not `addBulk`: it runs a transaction, which costs more than pipelined commands and is not needed here.
    const timestamp = this.#now();
    await Promise.all(
      jobs.map(({ queue, name, data, opts }) =>
        this.shardOf(data.org_id).all[queue].add(name, data, { ...opts, timestamp }),
      ),
    );
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
