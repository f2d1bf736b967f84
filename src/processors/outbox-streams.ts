// The outbox streams as one relay reads them: it creates the consumer groups, reads new and pending entries, and takes over
// the pending entries of dead relays. What becomes of an entry is up to the relay.

import { RELAY_GROUP } from '../store/maintenance/dead-entries.ts';
import type { Db } from '../store/redis/connection.ts';
import { partitionKeys } from '../store/redis/keys.ts';
import type { Log } from '../store/redis/log.ts';
import { concernsOneItem } from '../store/redis/unreadable.ts';

/** Most entries of a stream in one read. */
export const BATCH = 200;
/** A consumer that has been idle for this long is deleted, ms. */
const DELETE_CONSUMER_AFTER_MS = 3600_000;

/** Entries of a stream; one that was deleted while pending has no fields. */
export type Entries = [id: string, fields: string[] | null][];

export interface OutboxStreamsOptions {
  db: Db;
  /** The partitions whose outboxes are read, in one command. */
  partitions: readonly string[];
  /** Name of this consumer, unique among all relays that ever ran. */
  consumer: string;
  log: Log;
  /** An entry pending for longer than this belongs to a dead relay, ms. */
  abandonedAfter: number;
}

export class OutboxStreams {
  readonly #db: Db;
  readonly #consumer: string;
  readonly #log: Log;
  readonly #abandonedAfter: number;
  /** Partition of each outbox key. */
  readonly #partitions: ReadonlyMap<string, string>;
  /** Keys of the outboxes whose group exists. */
  readonly #open = new Set<string>();
  /** Keys of those that cannot be read. */
  readonly #unreadable = new Set<string>();
  /** Entries may be pending for this consumer that it has not seen. */
  #mayHavePending = false;

  constructor({ db, partitions, consumer, log, abandonedAfter }: OutboxStreamsOptions) {
    this.#db = db;
    this.#consumer = consumer;
    this.#log = log;
    this.#abandonedAfter = abandonedAfter;
    this.#partitions = new Map(partitions.map((one) => [partitionKeys(db.prefix, one).outbox, one]));
  }

  partitionOf(key: string): string {
    const partition = this.#partitions.get(key);
    if (partition === undefined) throw new Error(`${key} is not an outbox`);
    return partition;
  }

  /** Creates the groups of streams that were not opened yet. @returns those of the streams that can be read */
  async open(keys: readonly string[]): Promise<string[]> {
    await Promise.all(
      keys
        .filter((key) => !this.#open.has(key) && !this.#unreadable.has(key))
        .map((key) => this.#openOne(key)),
    );
    return keys.filter((key) => this.#open.has(key));
  }

  /** Forgets which streams are open, after some were lost, or replaced by keys of another type. */
  forget(): void {
    this.#open.clear();
    this.#unreadable.clear();
  }

  /** Tries a stream again that could not be read. */
  tryAgain(key: string): void {
    this.#unreadable.delete(key);
  }

  /** A key of another type cannot be read until it is a stream. */
  async #openOne(key: string): Promise<void> {
    try {
      await this.#db.redis.xgroup('CREATE', key, RELAY_GROUP, '0', 'MKSTREAM').catch((error: unknown) => {
        if (!String(error).includes('BUSYGROUP')) throw error;
      });
      await this.#deleteIdleConsumers(key);
      this.#open.add(key);
    } catch (error) {
      if (!concernsOneItem(error)) throw error;
      this.#unreadable.add(key);
      this.#log.error({ err: error, stream: key }, 'an outbox cannot be read');
    }
  }

  /** After a failed read: entries may have been delivered to this consumer that it has not seen. */
  expectPending(): void {
    this.#mayHavePending = true;
  }

  /** Whether `expectPending` was called since the last time. */
  takeMayHavePending(): boolean {
    const mayHavePending = this.#mayHavePending;
    this.#mayHavePending = false;
    return mayHavePending;
  }

  /** New entries of some streams, at most `BATCH` of each. */
  async readNew(keys: readonly string[]): Promise<[key: string, entries: Entries][]> {
    return this.#read((await this.open(keys)).map((key) => [key, '>']));
  }

  /** Entries of open streams that are pending for this consumer. @param after id in each stream after which they are read */
  readPending(after: ReadonlyMap<string, string>): Promise<[key: string, entries: Entries][]> {
    return this.#read([...this.#open].map((key) => [key, after.get(key) ?? '0']));
  }

  /** Acknowledges and deletes entries that are done. */
  async remove(key: string, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const { redis } = this.#db;
    await Promise.all([redis.xack(key, RELAY_GROUP, ...ids), redis.xdel(key, ...ids)]);
  }

  /** Takes over the pending entries of dead relays, batch by batch. */
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
  }

  /** Deletes the consumers of relays that ended long ago. */
  async #deleteIdleConsumers(key: string): Promise<void> {
    const { redis } = this.#db;
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

  /** @param from the streams, and for each `>` for new entries, or the id after which to read this consumer's pending ones */
  async #read(from: readonly [key: string, after: string][]): Promise<[key: string, entries: Entries][]> {
    if (from.length === 0) return [];
    const reply = (await this.#db.redis.xreadgroup(
      'GROUP',
      RELAY_GROUP,
      this.#consumer,
      'COUNT',
      BATCH,
      'STREAMS',
      ...from.map(([key]) => key),
      ...from.map(([, after]) => after),
    )) as [key: string, entries: Entries][] | null;
    return (reply ?? []).filter(([, entries]) => entries.length > 0);
  }
}
