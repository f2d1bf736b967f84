// Writes that survive a failover: with `DURABILITY=replicated`, the API confirms a change only when all replicas have it.
//
// Such writes have a connection of their own, because WAIT holds up all later commands of its connection, and it counts
// for the server that the connection has reached: after a failover between a write and its WAIT, it says nothing about
// that write. One WAIT serves all writes of a turn of the event loop, and those that come while the one before it waits.

import type { Redis } from 'ioredis';
import type { Db } from './connection.ts';
import { type RedisClient, serverOf } from './servers.ts';

/** Longest wait for the replicas, ms: less than the time limit of a command. */
const WAIT_LIMIT = 1000;

/** How the confirmation of writes goes. */
export interface ReplicaStatus {
  /** So many replicas must have a write. */
  readonly least: number;
  /** Writes so far that were not confirmed in time. */
  readonly unconfirmed: number;
  /** Whether the last writes of all servers were confirmed. */
  readonly isConfirmed: boolean;
}

/** The write has happened, but a failover may undo it. Counts as an outage. */
export class UnconfirmedError extends Error {
  constructor() {
    super('Not enough replicas have confirmed the write');
  }
}

export interface ReplicaOptions {
  /** A connection for these writes alone, to the same servers; to a cluster, one that does not follow ASK. */
  writer: RedisClient;
  /** A key in the slot of another, which is written before each WAIT, so that it counts for what others wrote before, too. */
  keyBeside: (key: string) => string;
  /** So many replicas must have a write, and all that are connected. */
  least: number;
  /** Called when a server's writes are no longer confirmed, and when they are again. */
  onChange?: (state: { isConfirmed: boolean; acknowledged: number; needed: number }) => void;
}

const confirmations = new WeakMap<RedisClient, Confirmations>();

/** From now on, commits that are given to this connection are confirmed by replicas. */
export function confirmByReplicas(redis: RedisClient, options: ReplicaOptions): ReplicaStatus {
  const made = new Confirmations(options);
  confirmations.set(redis, made);
  return made;
}

/**
 * Runs a write, or a read of what may have been written only now, and waits until all replicas have what it wrote or
 * read, if that was asked for the connection.
 * @param key one that it reads or writes.
 * @param run runs it on the connection that it is given.
 * @param isNeeded whether its result must be confirmed.
 * @throws UnconfirmedError
 */
export function confirmed<T>(
  redis: RedisClient,
  key: string,
  run: (redis: RedisClient) => Promise<T>,
  isNeeded: (result: T) => boolean,
): Promise<T> {
  const known = confirmations.get(redis);
  return known === undefined ? run(redis) : known.run(key, run, isNeeded);
}

/** The same for a read of the store. */
export function confirmedRead<T>(db: Db, key: string, read: (db: Db) => Promise<T>): Promise<T> {
  return confirmed(
    db.redis,
    key,
    (redis) => read({ ...db, redis }),
    (found) => found !== null,
  );
}

/** The confirmations of all servers behind a connection. */
class Confirmations implements ReplicaStatus {
  readonly #options: ReplicaOptions;
  readonly #servers = new WeakMap<Redis, ServerConfirmations>();
  /** Servers whose last writes were not confirmed. */
  readonly #failing = new Set<Redis>();
  unconfirmed = 0;

  constructor(options: ReplicaOptions) {
    this.#options = options;
  }

  get least(): number {
    return this.#options.least;
  }

  get isConfirmed(): boolean {
    return this.#failing.size === 0;
  }

  async run<T>(
    key: string,
    run: (redis: RedisClient) => Promise<T>,
    isNeeded: (result: T) => boolean,
  ): Promise<T> {
    try {
      return await this.#run(key, run, isNeeded);
    } catch (error) {
      if (error instanceof UnconfirmedError) this.unconfirmed += 1;
      throw error;
    }
  }

  async #run<T>(
    key: string,
    run: (redis: RedisClient) => Promise<T>,
    isNeeded: (result: T) => boolean,
  ): Promise<T> {
    const { writer } = this.#options;
    const server = serverOf(writer, key);
    const confirmations = server === null ? null : this.#of(server);
    const connection = confirmations?.connection;
    const result = await run(writer);
    if (isNeeded(result)) {
      // When the slot of the key has moved meanwhile, nobody knows which server has carried it out.
      if (connection === undefined || serverOf(writer, key) !== server) throw new UnconfirmedError();
      // After the reply, because ioredis sends a script again that the server did not know.
      await confirmations?.confirm(connection, this.#options.keyBeside(key));
    }
    return result;
  }

  #of(server: Redis): ServerConfirmations {
    const known = this.#servers.get(server);
    if (known !== undefined) return known;
    const made = new ServerConfirmations(server, {
      ...this.#options,
      onChange: (state) => {
        if (state.isConfirmed) this.#failing.delete(server);
        else this.#failing.add(server);
        this.#options.onChange?.(state);
      },
    });
    // A server that has gone, such as a master that was replaced, confirms nothing.
    server.once('end', () => this.#failing.delete(server));
    this.#servers.set(server, made);
    return made;
  }
}

/** The confirmations of one server, or master of a cluster. */
class ServerConfirmations {
  readonly #server: Redis;
  readonly #options: ReplicaOptions;
  /** Connections so far: what one has written, another cannot confirm. */
  #connection = 0;
  /** The WAIT that is being answered, and the one after it. */
  #current: Promise<unknown> | null = null;
  #next: Promise<void> | null = null;
  /** Replicas that were connected at the last WAIT. */
  #online = 0;
  #isConfirmed = true;

  constructor(server: Redis, options: ReplicaOptions) {
    this.#server = server;
    this.#options = options;
    server.on('close', () => {
      this.#connection += 1;
    });
  }

  /** The connection that is open, or was open last. */
  get connection(): number {
    return this.#connection;
  }

  /** Resolves when all replicas have what was written on this connection. @param key of the server, to be written */
  async confirm(connection: number, key: string): Promise<void> {
    this.#requireSame(connection);
    this.#next ??= this.#confirmNext(key);
    await this.#next;
  }

  async #confirmNext(key: string): Promise<void> {
    const connection = this.#connection;
    await (this.#current ?? new Promise((resolve) => setImmediate(resolve)));
    // A commit that comes from now on is confirmed by the next WAIT.
    this.#next = null;
    this.#requireSame(connection);
    const waiting = this.#wait(key);
    const current = waiting.catch(() => undefined);
    this.#current = current;
    try {
      await waiting;
    } finally {
      if (this.#current === current) this.#current = null;
    }
  }

  #requireSame(connection: number): void {
    if (connection !== this.#connection) throw new UnconfirmedError();
  }

  async #wait(key: string): Promise<void> {
    const { least } = this.#options;
    const server = this.#server;
    for (let needed = Math.max(least, this.#online); ; ) {
      const [, acknowledged, info] = await Promise.all([
        server.set(key, '1'),
        server.wait(needed, WAIT_LIMIT),
        server.info('replication'),
      ]);
      this.#online = info.split('state=online').length - 1;
      const isEnough = acknowledged >= Math.max(least, this.#online);
      // A replica has come while the others were waited for.
      if (!isEnough && acknowledged >= needed) needed = this.#online;
      else {
        this.#note(isEnough, acknowledged, needed);
        if (!isEnough) throw new UnconfirmedError();
        return;
      }
    }
  }

  #note(isConfirmed: boolean, acknowledged: number, needed: number): void {
    if (isConfirmed === this.#isConfirmed) return;
    this.#isConfirmed = isConfirmed;
    this.#options.onChange?.({ isConfirmed, acknowledged, needed });
  }
}
