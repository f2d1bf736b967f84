// The relay turns what commits left in the outbox into jobs.
//
// 1. A commit appends an entry to its partition's outbox stream, in the same step as the change itself.
// 2. A relay reads the entry through the consumer group; from now on it is pending for that relay alone.
// 3. It owes the events to the endpoints of their org, and adds the jobs that follow. Their ids follow from the
//    entry, so doing it twice makes them once.
// 4. It removes the jobs that are pointless now, and looks whether one of them has been asked for again since:
//    entries of one task may be relayed in any order.
// 5. It acknowledges the entry and deletes it.
//
// A relay that dies between 2 and 5 leaves the entry pending; another claims it after a while and goes on
// from 3. An outage of Redis is sat out: the relay reads its own pending entries again when it is back.

import type { Redis } from 'ioredis';
import { deliveryJob, droppedJobs, jobsOf, matchRequestsOf, questionJob } from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import type { MatchRequest, OutboxEntry } from '../state/outbox.ts';
import { keyOf, mayReturn, questions } from '../state/questions.ts';
import type { Owed } from '../store/delivery-places.ts';
import { oweToEndpoints } from '../store/fan-out.ts';
import { PARTITIONS, partitionKeys } from '../store/keys.ts';
import type { Db } from '../store/redis.ts';
import { loadTask } from '../store/tasks.ts';
import type { Log } from './log.ts';
import { requestMatching } from './matching.ts';

const GROUP = 'relay';
const BATCH = 200;
const BLOCK = 1000;
/** Pending for longer than this belongs to a dead relay, ms. */
const ABANDONED = 10_000;
/** A consumer that has been silent for this long is forgotten, ms. */
const FORGOTTEN = 3600_000;

type Entries = [id: string, fields: string[]][];

export class Relay {
  readonly #db: Db;
  readonly #blocking: Redis;
  readonly #queues: Queues;
  readonly #consumer: string;
  readonly #log: Log;
  readonly #streams = new Map<string, string>();
  readonly #abandonedAfter: number;
  readonly #letWait: (owed: Owed) => Promise<boolean>;
  #closing = false;
  #running: Promise<void> | null = null;
  /** Entries relayed since the start. */
  relayed = 0;

  /**
   * @param blocking a patient connection of its own: it blocks on the streams.
   * @param consumer unique among all relays that ever ran.
   * @param letWait lets a delivery wait whose receiver is known to take no more, so that it needs no job; false when
   *   it does.
   */
  constructor(options: {
    db: Db;
    blocking: Redis;
    queues: Queues;
    consumer: string;
    log: Log;
    abandonedAfter?: number;
    letWait?: (owed: Owed) => Promise<boolean>;
  }) {
    this.#db = options.db;
    this.#blocking = options.blocking;
    this.#queues = options.queues;
    this.#consumer = options.consumer;
    this.#log = options.log;
    this.#abandonedAfter = options.abandonedAfter ?? ABANDONED;
    this.#letWait = options.letWait ?? (async () => false);
    for (const partition of PARTITIONS)
      this.#streams.set(partitionKeys(options.db.prefix, partition).outbox, partition);
  }

  /** Begins to relay, until `close`. */
  async start(): Promise<void> {
    await this.#createGroups();
    this.#running = this.#run();
  }

  /** Finishes the batch in hand and stops. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    let claimAt = performance.now();
    let mayHavePending = false;
    let pause = 0;
    while (!this.#closing) {
      try {
        if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
        if (mayHavePending) {
          while (await this.#readAndRelay('0')) if (this.#closing) return;
          mayHavePending = false;
        }
        if (performance.now() >= claimAt) {
          claimAt = performance.now() + this.#abandonedAfter / 2;
          await this.#claimAbandoned();
        }
        await this.#readAndRelay('>');
        pause = 0;
      } catch (error) {
        if (this.#closing) return;
        this.#log.warn({ err: error }, 'relay interrupted; what it had in hand is taken up again');
        mayHavePending = true;
        pause = Math.min(1000, pause * 2 + 50);
        // A Redis that lost its data has lost the group with it.
        if (String(error).includes('NOGROUP')) await this.#createGroups().catch(() => undefined);
      }
    }
  }

  /** @param from `>` for new entries, `0` for those pending for this relay. @returns whether there were any. */
  async #readAndRelay(from: '>' | '0'): Promise<boolean> {
    const keys = [...this.#streams.keys()];
    const ids = keys.map(() => from);
    const reply = (await this.#blocking.xreadgroup(
      'GROUP',
      GROUP,
      this.#consumer,
      'COUNT',
      BATCH,
      'BLOCK',
      BLOCK,
      'STREAMS',
      ...keys,
      ...ids,
    )) as [key: string, entries: Entries][] | null;
    const found = (reply ?? []).filter(([, entries]) => entries.length > 0);
    if (found.length === 0) return false;
    await this.#relay(found);
    return true;
  }

  async #relay(found: [key: string, entries: Entries][]): Promise<void> {
    const now = this.#db.clock.now();
    const all = found.flatMap(([, entries]) => entries.map(([, fields]) => parse(fields)));
    const entries = all.filter((entry) => entry !== null);
    await Promise.all([
      this.#queues.add(entries.flatMap((entry) => jobsOf(entry, now))),
      this.#requestMatching(entries),
      this.#tellEndpoints(entries),
    ]);
    await this.#queues.drop(entries.flatMap(droppedJobs));
    await Promise.all(entries.map((entry) => this.#askAgain(entry, now)));
    const { redis } = this.#db;
    await Promise.all(
      found.flatMap(([key, list]) => {
        const ids = list.map(([id]) => id);
        return [redis.xack(key, GROUP, ...ids), redis.xdel(key, ...ids)];
      }),
    );
    this.relayed += entries.length;
  }

  /** Requests what the entries ask to be matched: of each org at once. */
  async #requestMatching(entries: readonly OutboxEntry[]): Promise<void> {
    const byOrg = new Map<string, MatchRequest[]>();
    for (const entry of entries) {
      const requests = matchRequestsOf(entry);
      if (requests.length > 0) byOrg.set(entry.org_id, [...(byOrg.get(entry.org_id) ?? []), ...requests]);
    }
    await Promise.all(
      [...byOrg].map(([org, requests]) => requestMatching(this.#db, this.#queues, org, requests)),
    );
  }

  /** Owes the events to the endpoints that want them, with a job for each that a receiver may take now. */
  async #tellEndpoints(entries: readonly OutboxEntry[]): Promise<void> {
    const owed = await oweToEndpoints(this.#db, entries);
    const waits = await Promise.all(owed.map(this.#letWait));
    await this.#queues.add(owed.filter((_, index) => waits[index] === false).map((one) => deliveryJob(one)));
  }

  /**
   * Makes the jobs again that were removed for `entry` although their questions have come back. What comes
   * back after this look has its own entry, whose job is made after the removal.
   */
  async #askAgain(entry: OutboxEntry, now: number): Promise<void> {
    const removed = new Set(entry.kind === 'task' ? entry.dropped.filter(mayReturn).map(keyOf) : []);
    if (entry.kind !== 'task' || removed.size === 0) return;
    const stored = await loadTask(this.#db, entry.org_id, entry.task_id);
    if (stored === null) return;
    const asked = questions(stored.task).filter((question) => removed.has(keyOf(question)));
    const about = { ...entry, version: stored.task.version };
    await this.#queues.add(asked.map((question) => questionJob(about, question, now)));
  }

  /** Takes over what relays that are gone left pending, and forgets those relays. */
  async #claimAbandoned(): Promise<void> {
    for (const key of this.#streams.keys()) {
      let cursor = '0-0';
      do {
        const [next, entries] = (await this.#db.redis.xautoclaim(
          key,
          GROUP,
          this.#consumer,
          this.#abandonedAfter,
          cursor,
          'COUNT',
          BATCH,
        )) as [string, Entries];
        if (entries.length > 0) {
          this.#log.info({ entries: entries.length }, 'relaying what another relay left');
          await this.#relay([[key, entries]]);
        }
        cursor = next;
      } while (cursor !== '0-0');
      const consumers = (await this.#db.redis.xinfo('CONSUMERS', key, GROUP)) as (string | number)[][];
      for (const fields of consumers) {
        const [, name, , pending, , idle] = fields;
        if (pending === 0 && Number(idle) > FORGOTTEN)
          await this.#db.redis.xgroup('DELCONSUMER', key, GROUP, String(name));
      }
    }
  }

  async #createGroups(): Promise<void> {
    for (const key of this.#streams.keys()) {
      try {
        await this.#db.redis.xgroup('CREATE', key, GROUP, '0', 'MKSTREAM');
      } catch (error) {
        if (!String(error).includes('BUSYGROUP')) throw error;
      }
    }
  }
}

function parse(fields: string[] | null): OutboxEntry | null {
  const text = fields?.[1];
  return text === undefined ? null : (JSON.parse(text) as OutboxEntry);
}
