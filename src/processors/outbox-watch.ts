// Says which outboxes have entries, so that a relay reads only these. A commit that adds an entry says so on the channel of the
// outbox. Such a notice can be lost, as with the connection, and earlier releases give none: so all outboxes are counted every
// second, with one command for each server.

import type { Db } from '../store/redis/connection.ts';
import { partitionKeys } from '../store/redis/keys.ts';
import { partitionsWith } from '../store/redis/partition-counts.ts';
import type { RedisClient } from '../store/redis/servers.ts';

/** Most time between two counts, ms. */
const COUNT_EVERY_MS = 1000;

/** What a relay has to do. */
export interface OutboxWork {
  /** Keys of the outboxes that have new entries, as far as is known. */
  named: string[];
  /** Keys of those to look at more closely, because they have entries that may be of a dead relay or of a newer format. */
  lingering: string[];
}

/** Collects what the relay of some outboxes has to do. */
export class OutboxSignal {
  readonly partitions: readonly string[];
  #named = new Set<string>();
  #lingering = new Set<string>();
  #wake = () => {};
  #isClosed = false;

  constructor(partitions: readonly string[]) {
    this.partitions = partitions;
  }

  /** An outbox may have new entries. */
  name(key: string): void {
    this.#named.add(key);
    this.#wake();
  }

  /** An outbox has entries, and is to be looked at more closely. */
  linger(key: string): void {
    this.#lingering.add(key);
    this.name(key);
  }

  /** What was told since the last call. Waits until there is something; nothing after `close`. */
  async next(): Promise<OutboxWork> {
    if (this.#named.size === 0 && !this.#isClosed)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    const work = { named: [...this.#named], lingering: [...this.#lingering] };
    this.#named.clear();
    this.#lingering.clear();
    return work;
  }

  close(): void {
    this.#isClosed = true;
    this.#wake();
  }
}

export interface OutboxWatchOptions {
  db: Db;
  /** See `connectSubscriber`. */
  subscriber: RedisClient;
  /** An entry pending for longer than this belongs to a dead relay, ms. */
  abandonedAfter: number;
  /** Most time between two counts, ms; only tests set it. */
  countEvery?: number | undefined;
}

export class OutboxWatch {
  readonly #db: Db;
  readonly #subscriber: RedisClient;
  /** By the key of the outbox, which is the name of its channel. */
  readonly #signals = new Map<string, OutboxSignal>();
  readonly #partitions: string[] = [];
  /** Time between two closer looks, ms. */
  readonly #lingersAfter: number;
  readonly #countEvery: number;
  #lookCloserAt = 0;
  #counting: Promise<void> | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor({ db, subscriber, abandonedAfter, countEvery = COUNT_EVERY_MS }: OutboxWatchOptions) {
    this.#db = db;
    this.#subscriber = subscriber;
    this.#lingersAfter = abandonedAfter / 2;
    this.#countEvery = Math.min(countEvery, this.#lingersAfter);
  }

  /** What the relay of these partitions waits for. Called before `start`. */
  signalOf(partitions: readonly string[]): OutboxSignal {
    const signal = new OutboxSignal(partitions);
    this.#partitions.push(...partitions);
    for (const key of this.#keysOf(partitions)) this.#signals.set(key, signal);
    return signal;
  }

  /** Resolves when the channels are subscribed. */
  async start(): Promise<void> {
    this.#subscriber.on('smessage', (channel: string) => this.#signals.get(channel)?.name(channel));
    await Promise.all([...this.#signals.keys()].map((channel) => this.#subscriber.ssubscribe(channel)));
    const count = () => {
      this.#counting ??= this.#count().finally(() => {
        this.#counting = null;
      });
    };
    count();
    this.#timer = setInterval(count, this.#countEvery);
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  async #count(): Promise<void> {
    const isCloser = performance.now() >= this.#lookCloserAt;
    const found = await partitionsWith(
      this.#db,
      ({ outbox, newerEntries }) => [
        ['XLEN', outbox],
        ...(isCloser ? ([['XLEN', newerEntries]] as const) : []),
      ],
      this.#partitions,
    ).catch(() => this.#partitions); // The relays find out what is wrong.
    if (isCloser) this.#lookCloserAt = performance.now() + this.#lingersAfter;
    for (const key of this.#keysOf(found)) {
      if (isCloser) this.#signals.get(key)?.linger(key);
      else this.#signals.get(key)?.name(key);
    }
  }

  #keysOf(partitions: readonly string[]): string[] {
    return partitions.map((one) => partitionKeys(this.#db.prefix, one).outbox);
  }
}
