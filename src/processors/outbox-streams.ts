// The outbox streams as one relay reads them: it creates the consumer groups, reads new and pending entries, and takes over
// the pending entries of dead relays. What becomes of an entry is up to the relay.

import type { Redis } from 'ioredis';
import { RELAY_GROUP } from '../store/maintenance/dead-entries.ts';
import type { Db } from '../store/redis/connection.ts';
import { PARTITIONS, partitionKeys } from '../store/redis/keys.ts';
import type { Log } from '../store/redis/log.ts';
import { concernsOneItem } from '../store/redis/unreadable.ts';

/** Most entries of one read. */
export const BATCH = 200;
const BLOCK_MS = 1000;
/** A read that has not returned after this is interrupted, ms. */
const READ_LIMIT = 3 * BLOCK_MS;
/** A consumer that has been idle for this long is deleted, ms. */
const DELETE_CONSUMER_AFTER_MS = 3600_000;

/** Entries of a stream; one that was deleted while pending has no fields. */
export type Entries = [id: string, fields: string[] | null][];

export interface OutboxStreamsOptions {
  db: Db;
  /** A connection of its own without a command timeout: it blocks on the streams. */
  blocking: Redis;
  /** The partitions whose outboxes are read, in one command; all by default. */
  partitions?: readonly string[];
  /** Name of this consumer, unique among all relays that ever ran. */
  consumer: string;
  log: Log;
  /** An entry pending for longer than this belongs to a dead relay, ms. */
  abandonedAfter: number;
  /** How long a read waits for entries, ms. */
  readWait?: number | undefined;
}

export class OutboxStreams {
  readonly #db: Db;
  readonly #blocking: Redis;
  readonly #consumer: string;
  readonly #log: Log;
  readonly #abandonedAfter: number;
  readonly #readWait: number;
  /** Partition of each outbox key. */
  readonly #partitions = new Map<string, string>();
  /** Keys of the outboxes that can be read. */
  #keys: string[] = [];
  /** Entries may be pending for this consumer that it has not seen. */
  #mayHavePending = false;
  #isClosing = false;

  constructor(options: OutboxStreamsOptions) {
    const { db, blocking, consumer, log, abandonedAfter } = options;
    this.#db = db;
    this.#blocking = blocking;
    this.#consumer = consumer;
    this.#log = log;
    this.#abandonedAfter = abandonedAfter;
    this.#readWait = options.readWait ?? BLOCK_MS;
    for (const partition of options.partitions ?? PARTITIONS)
      this.#partitions.set(partitionKeys(db.prefix, partition).outbox, partition);
  }

  /** Keys of the outboxes that can be read. */
  get keys(): readonly string[] {
    return this.#keys;
  }

  /** Whether there are no outboxes to read. */
  get isEmpty(): boolean {
    return this.#partitions.size === 0;
  }

  /** Whether some outboxes could not be read when they were opened. */
  get hasClosed(): boolean {
    return this.#keys.length < this.#partitions.size;
  }

  partitionOf(key: string): string {
    const partition = this.#partitions.get(key);
    if (partition === undefined) throw new Error(`${key} is not an outbox`);
    return partition;
  }

  /** Creates missing streams and groups; a key of another type is skipped until it is a stream. */
  async open(): Promise<void> {
    const open: string[] = [];
    for (const key of this.#partitions.keys())
      try {
        await this.#db.redis.xgroup('CREATE', key, RELAY_GROUP, '0', 'MKSTREAM');
        open.push(key);
      } catch (error) {
        if (String(error).includes('BUSYGROUP')) open.push(key);
        else if (!concernsOneItem(error)) throw error;
        else this.#log.error({ err: error, stream: key }, 'an outbox cannot be read');
      }
    this.#keys = open;
  }

  /** From now on, a read that is interrupted is not repeated. */
  close(): void {
    this.#isClosing = true;
  }

  /** After a failed read: entries may have been delivered to this consumer that it has not seen. */
  expectPending(): void {
    this.#mayHavePending = true;
  }

  /** Whether `expectPending` was called since the last time, or a read was interrupted. */
  takeMayHavePending(): boolean {
    const mayHavePending = this.#mayHavePending;
    this.#mayHavePending = false;
    return mayHavePending;
  }

  /** New entries of all streams; waits for some, but not for long. */
  readNew(): Promise<[key: string, entries: Entries][]> {
    return this.#read(this.#keys.map(() => '>'));
  }

  /** Entries that are pending for this consumer. @param after id in each stream after which they are read. */
  readPending(after: ReadonlyMap<string, string>): Promise<[key: string, entries: Entries][]> {
    return this.#read(this.#keys.map((key) => after.get(key) ?? '0'));
  }

  /** Acknowledges and deletes entries that are done. */
  async remove(key: string, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const { redis } = this.#db;
    await Promise.all([redis.xack(key, RELAY_GROUP, ...ids), redis.xdel(key, ...ids)]);
  }

  /** Takes over the pending entries of dead relays, batch by batch, and deletes their consumers. */
  async claimAbandoned(key: string, take: (entries: Entries) => Promise<void>): Promise<void> {
    const { redis } = this.#db;
    let cursor = '0-0';
    do {
      const [next, entries] = (await redis.xautoclaim(
        key,
        RELAY_GROUP,
        this.#consumer,
        this.#abandonedAfter,
        cursor,
        'COUNT',
        BATCH,
      )) as [string, Entries];
      if (entries.length > 0) {
        this.#log.info({ entries: entries.length }, 'relaying entries of a dead relay');
        await take(entries);
      }
      cursor = next;
    } while (cursor !== '0-0');
    await this.#restartIdleTimes(key);
    const consumers = (await redis.xinfo('CONSUMERS', key, RELAY_GROUP)) as (string | number)[][];
    for (const fields of consumers) {
      const [, name, , pending, , idle] = fields;
      if (pending === 0 && Number(idle) > DELETE_CONSUMER_AFTER_MS)
        await redis.xgroup('DELCONSUMER', key, RELAY_GROUP, String(name));
    }
  }

  /**
   * Entries read while Redis' clock was ahead show an idle time of 0 until the clock gets there, so they would be claimed
   * hours late. Claims them again so that their idle time counts from now. Entries that were just read lose nothing.
   */
  async #restartIdleTimes(key: string): Promise<void> {
    const { redis } = this.#db;
    for (let from = '-', more = true; more; ) {
      const page = (await redis.xpending(key, RELAY_GROUP, from, '+', BATCH)) as [string, string, number][];
      await Promise.all(
        page
          .filter(([, , idle]) => idle === 0)
          .map(([id, consumer]) => redis.call('XCLAIM', key, RELAY_GROUP, consumer, 0, id, 'JUSTID')),
      );
      from = `(${page.at(-1)?.[0]}`;
      more = page.length === BATCH;
    }
  }

  /** @param from for each stream: `>` for new entries, or the id after which to read this consumer's pending entries. */
  async #read(from: readonly string[]): Promise<[key: string, entries: Entries][]> {
    // Redis measures the wait by its own clock: when that goes back by hours, the read would block for hours.
    const limit = setInterval(() => this.#interruptRead(), READ_LIMIT);
    try {
      const reply = (await this.#blocking.xreadgroup(
        'GROUP',
        RELAY_GROUP,
        this.#consumer,
        'COUNT',
        BATCH,
        'BLOCK',
        this.#readWait,
        'STREAMS',
        ...this.#keys,
        ...from,
      )) as [key: string, entries: Entries][] | null;
      return (reply ?? []).filter(([, entries]) => entries.length > 0);
    } finally {
      clearInterval(limit);
    }
  }

  /** Closes the connection of a read that does not return. Unless the relay is closing, ioredis repeats the read. */
  #interruptRead(): void {
    // During an outage, ioredis is reconnecting already.
    if (this.#blocking.status !== 'ready') return;
    this.#log.warn({}, 'a read of the outbox did not return in time, and its connection is closed');
    // Redis may have answered on the connection that is closed now.
    this.#mayHavePending = true;
    this.#blocking.disconnect(!this.#isClosing);
  }
}
