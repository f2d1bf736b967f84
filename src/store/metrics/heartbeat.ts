// Which processes are alive. Each renews an entry of its own in one sorted set; the entry of a process that was killed ends by
// itself, and so does the set when no process is left.

import { randomUUID } from 'node:crypto';
import type { Db } from '../redis/connection.ts';
import { HASHED_PARTITIONS, PARTITION_COUNT } from '../redis/keys.ts';

export const PROCESS_KINDS = ['web', 'worker'] as const;
export type ProcessKind = (typeof PROCESS_KINDS)[number];

const EVERY_MS = 10_000;
/** An entry that is not renewed ends after this, ms. */
const ALIVE_MS = 30_000;

function keyOf(db: Db): string {
  return `${db.prefix}:processes`;
}

/** What a process tells of itself. */
export interface AliveProcess {
  kind: string;
  version: string;
  /** Its `QUEUE_SHARDS`. */
  queueShards: number;
  /** How many partitions it knows. */
  partitions: number;
  /** Names of the queues and numbers of the shards that it takes; undefined: all. None of a web process. */
  takes?: { queues: readonly string[]; shards: readonly number[] } | undefined;
}

/** The heartbeat of this process, from `start` to `stop`. */
export class Heartbeat {
  readonly #db: Db;
  readonly #member: string;
  #timer: NodeJS.Timeout | null = null;
  /** One at a time: in an outage the commands of a worker process wait. */
  #beating: Promise<void> | null = null;

  constructor(db: Db, process: Omit<AliveProcess, 'partitions'> & { kind: ProcessKind }) {
    this.#db = db;
    const { kind, version, queueShards, takes } = process;
    const taken = takes && [takes.queues.join(','), takes.shards.join(',')];
    const id = `${randomUUID()}:${PARTITION_COUNT}`;
    this.#member = [kind, version, id, queueShards, ...(taken ?? [])].join(' ');
  }

  /** Resolves after the first beat. */
  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#beat(), EVERY_MS);
    this.#timer.unref();
    await this.#beat();
  }

  /** Removes the entry; without Redis it ends by itself. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#db.redis.status !== 'ready') return;
    await this.#beating;
    await this.#db.redis.zrem(keyOf(this.#db), this.#member).catch(() => undefined);
  }

  #beat(): Promise<void> {
    this.#beating ??= this.#renew()
      // The owner of the connection logs the outage.
      .catch(() => undefined)
      .finally(() => {
        this.#beating = null;
      });
    return this.#beating;
  }

  async #renew(): Promise<void> {
    const { redis, clock } = this.#db;
    const key = keyOf(this.#db);
    const now = clock.now();
    await Promise.all([
      redis.zremrangebyscore(key, '-inf', now),
      redis.zadd(key, now + ALIVE_MS, this.#member),
      redis.pexpire(key, ALIVE_MS),
    ]);
  }
}

/** The processes that are alive. */
export async function processesAlive(db: Db): Promise<AliveProcess[]> {
  const members = await db.redis.zrangebyscore(keyOf(db), db.clock.now(), '+inf');
  return members.map((member) => {
    // Those of versions without shards end after the id.
    const [kind = '', version = '', id = '', queueShards = '1', queues, shards] = member.split(' ');
    // The id of those that know only the first partitions says nothing of them.
    const [, partitions = HASHED_PARTITIONS] = id.split(':');
    return {
      kind,
      version,
      queueShards: Number(queueShards),
      partitions: Number(partitions),
      takes:
        queues === undefined || shards === undefined
          ? undefined
          : { queues: queues.split(','), shards: shards.split(',').map(Number) },
    };
  });
}

/** How many partitions all processes that are alive know, this one included. */
export async function partitionsKnown(db: Db): Promise<number> {
  const alive = await processesAlive(db);
  return Math.min(PARTITION_COUNT, ...alive.map(({ partitions }) => partitions));
}
