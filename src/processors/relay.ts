// The relay turns the outbox entries of commits into jobs.
//
// 1. A commit appends an entry to its partition's outbox stream, in the same step as the change itself.
// 2. A relay is told that there is one (`outbox-watch.ts`) and reads it through the consumer group; it is then pending for
//    that relay only.
// 3. The relay carries out the effects of the entry (`relay-effects.ts`), which may be repeated.
// 4. It acknowledges the entry and deletes it.
//
// When a relay dies between 2 and 4, another one claims the pending entry after a while and continues at 3. After an
// outage of Redis, the relay reads its own pending entries again.
//
// An entry that cannot be relayed blocks no other: one of a newer format version is kept for a relay that knows it, and one
// that is broken or fails on its own becomes a dead entry (`store/maintenance/dead-entries.ts`).

import type { AddJobs, Queues } from '../queues/queues.ts';
import { type OutboxEntry, readOutboxEntry } from '../state/outbox.ts';
import { broken, type Read } from '../state/text/forms.ts';
import { moveOutboxEntry, newerEntries, releaseNewer } from '../store/maintenance/dead-entries.ts';
import type { Db } from '../store/redis/connection.ts';
import type { Log } from '../store/redis/log.ts';
import { concernsOneItem, UnreadableRecord } from '../store/redis/unreadable.ts';
import { type WriteRefusal, writeProbe } from '../store/redis/write-probe.ts';
import type { DeliveryTarget } from '../store/webhooks/delivery-target.ts';
import { BATCH, type Entries, OutboxStreams } from './outbox-streams.ts';
import type { OutboxSignal } from './outbox-watch.ts';
import { relayEntries } from './relay-effects.ts';

/** An entry pending for longer than this belongs to a dead relay, ms. */
export const CLAIM_AFTER_IDLE_MS = 10_000;

interface Readable {
  key: string;
  id: string;
  entry: OutboxEntry;
}

/** The pause before the next try, ms. */
function longer(pause: number): number {
  return Math.min(1000, pause * 2 + 50);
}

export class Relay {
  readonly #db: Db;
  readonly #outboxes: OutboxSignal;
  readonly #streams: OutboxStreams;
  readonly #queues: Queues;
  readonly #jobs: AddJobs;
  readonly #log: Log;
  /** Newer format versions seen so far, and the position in the entries kept for newer processes. */
  readonly #newerForms = new Set<number>();
  readonly #newerCursor = new Map<string, string>();
  readonly #whyNotWritable: () => Promise<WriteRefusal | null>;
  readonly #park: (target: DeliveryTarget) => Promise<boolean>;
  #closing = false;
  #running: Promise<void> | null = null;
  /** The removal of the entries that were relayed last; it never rejects. */
  #removing: Promise<void> = Promise.resolve();
  /** Entries relayed since the start. */
  relayed = 0;

  /**
   * @param outboxes those it relays; they must be on one server, and in a cluster in one slot.
   * @param jobs takes the new jobs; by default their queues.
   * @param consumer unique among all relays that ever ran.
   * @param whyNotWritable see `writeProbe`; relays share it.
   * @param park parks a delivery whose receiver is at its limit, so that it needs no job; false when it needs one.
   */
  constructor(options: {
    db: Db;
    outboxes: OutboxSignal;
    queues: Queues;
    jobs?: AddJobs;
    consumer: string;
    log: Log;
    abandonedAfter?: number | undefined;
    whyNotWritable?: () => Promise<WriteRefusal | null>;
    park?: (target: DeliveryTarget) => Promise<boolean>;
  }) {
    this.#db = options.db;
    this.#queues = options.queues;
    this.#jobs = options.jobs ?? options.queues;
    this.#log = options.log;
    this.#whyNotWritable = options.whyNotWritable ?? writeProbe(options.db);
    this.#park = options.park ?? (async () => false);
    this.#outboxes = options.outboxes;
    const { abandonedAfter = CLAIM_AFTER_IDLE_MS } = options;
    this.#streams = new OutboxStreams({
      ...options,
      partitions: options.outboxes.partitions,
      abandonedAfter,
    });
  }

  /** Relays until `close`. */
  start(): void {
    this.#running = this.#run();
  }

  /** Finishes the current batch and stops. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#outboxes.close();
    await this.#running;
    await this.#removing;
  }

  /** After a lost connection: what Redis answered to a read may not have arrived. */
  expectPending(): void {
    this.#streams.expectPending();
  }

  async #run(): Promise<void> {
    let pause = 0;
    while (!this.#closing) {
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      // One small write instead of a batch of jobs that a full Redis refuses one by one.
      if (pause > 0 && (await this.#whyNotWritable()) !== null) {
        pause = longer(pause);
        continue;
      }
      const { named, lingering } = await this.#outboxes.next();
      if (this.#closing) return;
      try {
        if (this.#streams.takeMayHavePending()) await this.#relayPending();
        await this.#lookCloser(lingering);
        const found = await this.#streams.readNew(named);
        for (const [key, entries] of found) if (entries.length === BATCH) this.#outboxes.name(key);
        // Not awaited: the next read, if there is something to read already, shares its round trip.
        if (found.length > 0)
          this.#removing = this.#remove(await this.#relay(found)).catch((error) => this.#interrupted(error));
        pause = 0;
      } catch (error) {
        if (this.#closing) return;
        this.#interrupted(error);
        for (const key of named) this.#outboxes.name(key);
        pause = longer(pause);
      }
    }
  }

  #interrupted(error: unknown): void {
    if (this.#closing) return;
    this.#log.warn({ err: error }, 'relay interrupted; it reads its pending entries again');
    this.#streams.expectPending();
    // A Redis that lost its data has lost the groups too; a stream may have been replaced by another type.
    if (/NOGROUP|WRONGTYPE/.test(String(error))) this.#streams.forget();
  }

  /** Relays the entries that are pending for this relay. */
  async #relayPending(): Promise<void> {
    const seen = new Map<string, string>();
    while (!this.#closing) {
      const found = await this.#streams.readPending(seen);
      if (found.length === 0) return;
      await this.#remove(await this.#relay(found));
      for (const [key, entries] of found) seen.set(key, entries.at(-1)?.[0] ?? '0');
    }
  }

  /** @returns the ids of the entries that are done, by the key of their stream. */
  async #relay(found: readonly [key: string, entries: Entries][]): Promise<Map<string, string[]>> {
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
    return done;
  }

  async #remove(done: ReadonlyMap<string, readonly string[]>): Promise<void> {
    await Promise.all([...done].map(([key, ids]) => this.#streams.remove(key, ids)));
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

  async #setAside(key: string, id: string, read: Exclude<Read<never>, { kind: 'known' }>): Promise<void> {
    const partition = this.#streams.partitionOf(key);
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

  /** Work on streams that keep entries; a failing one does not stop the others. */
  async #lookCloser(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#streams.tryAgain(key);
    for (const key of await this.#streams.open(keys))
      try {
        await this.#streams.claimAbandoned(key, async (entries) =>
          this.#remove(await this.#relay([[key, entries]])),
        );
        await this.#releaseNewer(this.#streams.partitionOf(key));
      } catch (error) {
        if (!concernsOneItem(error)) throw error;
        this.#log.error({ err: error, stream: key }, 'an outbox is skipped');
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
}

function unreadableFrom(error: unknown): Exclude<Read<never>, { kind: 'known' }> {
  if (error instanceof UnreadableRecord && error.kind === 'newer')
    return { kind: 'newer', form: error.form ?? 0 };
  return broken(error instanceof Error ? error.message : String(error));
}
