// The relay turns the outbox entries of commits into jobs.
//
// 1. A commit appends an entry to its partition's outbox stream, in the same step as the change itself.
// 2. A relay reads the entry through the consumer group; it is then pending for that relay only.
// 3. The relay carries out the effects of the entry (`relay-effects.ts`), which may be repeated.
// 4. It acknowledges the entry and deletes it.
//
// When a relay dies between 2 and 4, another one claims the pending entry after a while and continues at 3. After an
// outage of Redis, the relay reads its own pending entries again.
//
// An entry that cannot be relayed blocks no other: one of a newer format version is kept for a relay that knows it, and one that is
// broken or fails on its own becomes a dead entry (`store/maintenance/dead-entries.ts`).

import type { Redis } from 'ioredis';
import type { Queues } from '../queues/queues.ts';
import { type OutboxEntry, readOutboxEntry } from '../state/outbox.ts';
import { broken, type Read } from '../state/text/forms.ts';
import {
  moveOutboxEntry,
  newerEntries,
  RELAY_GROUP,
  releaseNewer,
} from '../store/maintenance/dead-entries.ts';
import type { Db } from '../store/redis/connection.ts';
import { PARTITIONS, partitionKeys } from '../store/redis/keys.ts';
import type { Log } from '../store/redis/log.ts';
import { concernsOneItem, UnreadableRecord } from '../store/redis/unreadable.ts';
import type { DeliveryTarget } from '../store/webhooks/delivery-target.ts';
import type { AddJobs } from './local-jobs.ts';
import { relayEntries } from './relay-effects.ts';

const BATCH = 200;
const BLOCK_MS = 1000;
/** A read that has not returned after this is interrupted, ms. */
const READ_LIMIT = 3 * BLOCK_MS;
/** An entry pending for longer than this belongs to a dead relay, ms. */
const CLAIM_AFTER_IDLE_MS = 10_000;
/** A consumer that has been idle for this long is deleted, ms. */
const DELETE_CONSUMER_AFTER_MS = 3600_000;

/** Entries of a stream; one that was deleted while pending has no fields. */
type Entries = [id: string, fields: string[] | null][];

interface Readable {
  key: string;
  id: string;
  entry: OutboxEntry;
}

export class Relay {
  readonly #db: Db;
  readonly #blocking: Redis;
  readonly #queues: Queues;
  readonly #jobs: AddJobs;
  readonly #consumer: string;
  readonly #log: Log;
  readonly #partitions = new Map<string, string>();
  /** Keys of the outboxes that can be read. */
  #streams: string[] = [];
  /** Newer format versions seen so far, and the position in the entries kept for newer processes. */
  readonly #newerForms = new Set<number>();
  readonly #newerCursor = new Map<string, string>();
  readonly #abandonedAfter: number;
  readonly #park: (target: DeliveryTarget) => Promise<boolean>;
  /** Entries may be pending for this relay that it has not seen. */
  #mayHavePending = false;
  #closing = false;
  #running: Promise<void> | null = null;
  /** Entries relayed since the start. */
  relayed = 0;

  /**
   * @param blocking a connection of its own without a command timeout: it blocks on the streams.
   * @param jobs takes the new jobs; by default their queues.
   * @param consumer unique among all relays that ever ran.
   * @param park parks a delivery whose receiver is at its limit, so that it needs no job; false when it needs one.
   */
  constructor(options: {
    db: Db;
    blocking: Redis;
    queues: Queues;
    jobs?: AddJobs;
    consumer: string;
    log: Log;
    abandonedAfter?: number;
    park?: (target: DeliveryTarget) => Promise<boolean>;
  }) {
    this.#db = options.db;
    this.#blocking = options.blocking;
    this.#queues = options.queues;
    this.#jobs = options.jobs ?? options.queues;
    this.#consumer = options.consumer;
    this.#log = options.log;
    this.#abandonedAfter = options.abandonedAfter ?? CLAIM_AFTER_IDLE_MS;
    this.#park = options.park ?? (async () => false);
    for (const partition of PARTITIONS)
      this.#partitions.set(partitionKeys(options.db.prefix, partition).outbox, partition);
  }

  /** Relays until `close`. */
  async start(): Promise<void> {
    await this.#openStreams();
    this.#running = this.#run();
  }

  /** Finishes the current batch and stops. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    let claimAt = performance.now();
    let pause = 0;
    while (!this.#closing) {
      try {
        if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
        if (this.#mayHavePending) {
          this.#mayHavePending = false;
          await this.#relayPending();
        }
        if (performance.now() >= claimAt) {
          claimAt = performance.now() + this.#abandonedAfter / 2;
          await this.#maintainStreams();
        }
        await this.#readNew();
        pause = 0;
      } catch (error) {
        if (this.#closing) return;
        this.#log.warn({ err: error }, 'relay interrupted; it reads its pending entries again');
        this.#mayHavePending = true;
        pause = Math.min(1000, pause * 2 + 50);
        // A Redis that lost its data has lost the groups too; a stream may have been replaced by another type.
        if (/NOGROUP|WRONGTYPE/.test(String(error))) await this.#openStreams().catch(() => undefined);
      }
    }
  }

  async #readNew(): Promise<void> {
    const found = await this.#read(this.#streams.map(() => '>'));
    if (found.length > 0) await this.#relay(found);
  }

  /** Relays the entries that are pending for this relay. */
  async #relayPending(): Promise<void> {
    const seen = new Map<string, string>();
    while (!this.#closing) {
      const found = await this.#read(this.#streams.map((key) => seen.get(key) ?? '0'));
      if (found.length === 0) return;
      await this.#relay(found);
      for (const [key, entries] of found) seen.set(key, entries.at(-1)?.[0] ?? '0');
    }
  }

  /** @param from for each stream: `>` for new entries, or the id after which to read this relay's pending entries. */
  async #read(from: readonly string[]): Promise<[key: string, entries: Entries][]> {
    // Redis measures BLOCK_MS by its own clock: when that goes back by hours, the read would block for hours.
    const limit = setInterval(() => this.#interruptRead(), READ_LIMIT);
    try {
      const reply = (await this.#blocking.xreadgroup(
        'GROUP',
        RELAY_GROUP,
        this.#consumer,
        'COUNT',
        BATCH,
        'BLOCK',
        BLOCK_MS,
        'STREAMS',
        ...this.#streams,
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
    this.#blocking.disconnect(!this.#closing);
  }

  async #relay(found: readonly [key: string, entries: Entries][]): Promise<void> {
    const done = new Map(found.map(([key]) => [key, [] as string[]]));
    const readable: Readable[] = [];
    for (const [key, entries] of found)
      for (const [id, fields] of entries) {
        const read = fields === null ? null : readOutboxEntry(fields);
        if (read === null) done.get(key)?.push(id);
        else if (read.kind === 'known') readable.push({ key, id, entry: read.value });
        else await this.#setAside(key, id, read);
      }
    for (const { key, id } of await this.#relayReadable(readable)) done.get(key)?.push(id);
    const { redis } = this.#db;
    await Promise.all(
      [...done].flatMap(([key, ids]) =>
        ids.length === 0 ? [] : [redis.xack(key, RELAY_GROUP, ...ids), redis.xdel(key, ...ids)],
      ),
    );
  }

  /** Relays all entries; if that fails, halves them to find the one at fault. @returns the entries that are done. */
  async #relayReadable(all: readonly Readable[]): Promise<Readable[]> {
    const [only] = all;
    if (only === undefined) return [];
    try {
      await relayEntries(
        { db: this.#db, queues: this.#queues, jobs: this.#jobs, park: this.#park },
        all.map(({ entry }) => entry),
      );
      this.relayed += all.length;
      return [...all];
    } catch (error) {
      if (!concernsOneItem(error)) throw error;
      if (all.length === 1) {
        await this.#setAside(only.key, only.id, unreadableFrom(error));
        return [];
      }
      const middle = all.length >> 1;
      const first = await this.#relayReadable(all.slice(0, middle));
      return [...first, ...(await this.#relayReadable(all.slice(middle)))];
    }
  }

  #partitionOf(key: string): string {
    const partition = this.#partitions.get(key);
    if (partition === undefined) throw new Error(`${key} is not an outbox`);
    return partition;
  }

  async #setAside(key: string, id: string, read: Exclude<Read<never>, { kind: 'known' }>): Promise<void> {
    const partition = this.#partitionOf(key);
    const about = { partition, entry: id };
    if (read.kind === 'newer') {
      if (!this.#newerForms.has(read.form))
        this.#log.info({ ...about, form: read.form }, 'outbox entries are left for a newer process');
      this.#newerForms.add(read.form);
    } else
      this.#log.error(
        { ...about, reason: read.reason },
        'an outbox entry cannot be relayed and is set aside',
      );
    const reason = read.kind === 'newer' ? `form ${read.form}` : read.reason;
    const wasMoved = await moveOutboxEntry(
      this.#db,
      partition,
      id,
      read.kind === 'newer' ? 'newer' : 'dead',
      reason,
    );
    // This or another relay claims it again.
    if (!wasMoved) this.#log.error(about, 'the dead-entry stream is full; this outbox entry stays pending');
  }

  /** Periodic work on each stream; a failing one does not stop the others. */
  async #maintainStreams(): Promise<void> {
    if (this.#streams.length < this.#partitions.size) await this.#openStreams();
    for (const key of this.#streams)
      try {
        await this.#claimAbandoned(key);
        await this.#releaseNewer(this.#partitionOf(key));
      } catch (error) {
        if (!concernsOneItem(error)) throw error;
        this.#log.error({ err: error, stream: key }, 'an outbox is skipped');
      }
  }

  /** Claims the pending entries of dead relays, and deletes their consumers. */
  async #claimAbandoned(key: string): Promise<void> {
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
        await this.#relay([[key, entries]]);
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
          .map(([id, consumer]) => redis.xclaim(key, RELAY_GROUP, consumer, 0, id, 'JUSTID')),
      );
      from = `(${page.at(-1)?.[0]}`;
      more = page.length === BATCH;
    }
  }

  /**
   * Returns readable entries to the outbox, page by page. Stops at the first page with an unreadable entry, and starts
   * over after the last page.
   */
  async #releaseNewer(partition: string): Promise<void> {
    for (let hasMore = true; hasMore && !this.#closing; ) {
      const page = await newerEntries(this.#db, partition, this.#newerCursor.get(partition) ?? null, BATCH);
      hasMore = page.length === BATCH;
      for (const { id, fields } of page)
        if (readOutboxEntry(fields).kind === 'newer') hasMore = false;
        else await releaseNewer(this.#db, partition, id);
      const last = page.length === BATCH ? page.at(-1) : undefined;
      if (last === undefined) this.#newerCursor.delete(partition);
      else this.#newerCursor.set(partition, last.id);
    }
  }

  /** Creates missing streams and groups; a key of another type is skipped until it is a stream. */
  async #openStreams(): Promise<void> {
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
    this.#streams = open;
  }
}

function unreadableFrom(error: unknown): Exclude<Read<never>, { kind: 'known' }> {
  if (error instanceof UnreadableRecord && error.kind === 'newer')
    return { kind: 'newer', form: error.form ?? 0 };
  return broken(error instanceof Error ? error.message : String(error));
}
