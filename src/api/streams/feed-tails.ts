// Follows the feeds of orgs. One tail per org reads new events once and passes them to all followers. A follower that
// starts at an older position first reads the events in between.

import { LRUCache } from 'lru-cache';
import { poolOf } from '../../state/tasks/task.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Changes } from '../../store/redis/pub-sub.ts';
import { nullIfUnreadable } from '../../store/redis/unreadable.ts';
import { type FeedEvent, lastPosition, type OrgEvent, readWholeFeed } from '../../store/tasks/feed.ts';
import { loadEvent } from '../../store/tasks/tasks.ts';

/** Commits read at once. */
const BATCH = 100;
/** Cached pages for followers that catch up. */
const PAGES_KEPT = 10;
/** Polling interval, ms: notifications can be lost. */
const POLL_MS = 5000;

/**
 * A read waits this long for each follower, ms, and no longer than the most. What follows soon, such as the offer of a new task,
 * is then sent in the same write; writes to thousands of followers take three times as long as this wait.
 */
const WAIT_FOR_EACH_MS = 0.008;
const MAX_WAIT_MS = 50;

export interface TailEvent {
  position: string;
  /** Pool of the event's task; null when the task has none, and for an event of the org itself. */
  pool: string | null;
  event: FeedEvent | OrgEvent;
}

export interface Follower {
  /** Position of the last event it got; null: start now. The tail updates it. */
  position: string | null;
  /** Takes new events, in order. */
  receive(events: readonly TailEvent[]): void;
  /** Resolves when it can take more events. */
  ready(): Promise<void>;
  readonly isClosed: boolean;
}

export class FeedTails {
  readonly #db: Db;
  readonly #changes: Changes;
  readonly #tails = new Map<string, Tail>();

  constructor(db: Db, changes: Changes) {
    this.#db = db;
    this.#changes = changes;
  }

  /**
   * Follows the org's feed from the follower's position on; resolves when following has started.
   * @returns a function that stops it. @throws the error of the Redis client when Redis is unavailable
   */
  async follow(orgId: string, follower: Follower): Promise<() => void> {
    const tail = this.#tails.get(orgId) ?? new Tail(this.#db, this.#changes, orgId);
    this.#tails.set(orgId, tail);
    tail.followerCount += 1;
    const unfollow = () => {
      tail.removeFollower(follower);
      tail.followerCount -= 1;
      if (tail.followerCount > 0) return;
      tail.stop();
      if (this.#tails.get(orgId) === tail) this.#tails.delete(orgId);
    };
    try {
      await tail.started();
    } catch (error) {
      unfollow();
      if (this.#tails.get(orgId) === tail) this.#tails.delete(orgId);
      throw error;
    }
    void tail.join(follower);
    return unfollow;
  }
}

class Tail {
  followerCount = 0;
  readonly #db: Db;
  readonly #changes: Changes;
  readonly #orgId: string;
  readonly #followers = new Set<Follower>();
  /** Stream id / index within the commit. */
  #position = '0-0/0';
  #starting: Promise<void> | null = null;
  #stopListening = () => {};
  #timer: NodeJS.Timeout | null = null;
  /** Pages for followers that catch up, by the position before their first event. */
  readonly #pages = new LRUCache<string, Promise<FeedPage>>({ max: PAGES_KEPT });
  #catchingUp: Promise<unknown> = Promise.resolve();
  #isReading = false;
  #readAgain = false;

  constructor(db: Db, changes: Changes, orgId: string) {
    this.#db = db;
    this.#changes = changes;
    this.#orgId = orgId;
  }

  /** Resolves when the tail is subscribed and knows the end of the feed. */
  started(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    this.#stopListening = await this.#changes.listen(this.#orgId, (topic) => {
      if (topic.startsWith('task ') || topic === 'feed') this.#requestRead();
    });
    this.#timer = setInterval(() => this.#requestRead(), POLL_MS);
    this.#position = await lastPosition(this.#db, this.#orgId);
  }

  stop(): void {
    this.#stopListening();
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  removeFollower(follower: Follower): void {
    this.#followers.delete(follower);
  }

  /** Sends the follower the events it missed, then adds it to the live followers. */
  async join(follower: Follower): Promise<void> {
    follower.position ??= this.#position;
    while (!follower.isClosed) {
      // Nothing is awaited between this check and joining, so no event is skipped.
      if (isBehind(follower.position, this.#position)) {
        const end = this.#position;
        try {
          const { events, position } = await this.#pageAfter(follower.position);
          follower.receive(events);
          // If nothing was read, the missed events have been trimmed; skip to the end seen before.
          follower.position = position === follower.position ? end : position;
        } catch {
          // Redis is unavailable; try again in a moment.
          await new Promise((resolve) => setTimeout(resolve, 1000));
        }
        await follower.ready();
        continue;
      }
      this.#followers.add(follower);
      return;
    }
  }

  /**
   * The page after a position, for followers that catch up. Pages are cached and read one at a time per org, so that a
   * hundred followers that reconnect at once cost as much as one.
   */
  #pageAfter(position: string): Promise<FeedPage> {
    const known = this.#pages.get(position);
    if (known !== undefined) return known;
    const page = this.#catchingUp.then(() => eventsAfter(this.#db, this.#orgId, position));
    this.#pages.set(position, page);
    const forget = () => {
      if (this.#pages.peek(position) === page) this.#pages.delete(position);
    };
    // The last page is not cached: new events will be added to it.
    this.#catchingUp = page.then(({ more }) => (more ? undefined : forget()), forget);
    return page;
  }

  #requestRead(): void {
    this.#readAgain = true;
    if (this.#isReading) return;
    this.#isReading = true;
    const read = () =>
      void this.#read().finally(() => {
        this.#isReading = false;
      });
    const wait = Math.min(MAX_WAIT_MS, Math.floor(this.#followers.size * WAIT_FOR_EACH_MS));
    if (wait === 0) read();
    else setTimeout(read, wait);
  }

  async #read(): Promise<void> {
    try {
      while (this.#readAgain) {
        this.#readAgain = false;
        const { events, position, more } = await eventsAfter(this.#db, this.#orgId, this.#position);
        const before = this.#position;
        this.#position = position;
        if (more) this.#readAgain = true;
        for (const follower of this.#followers) this.#send(follower, events, before);
      }
    } catch {
      // Redis is unavailable; the next poll continues from here.
    }
  }

  #send(follower: Follower, events: readonly TailEvent[], before: string): void {
    const from = follower.position ?? '';
    // Only followers that have just joined are at another position than the tail was.
    const isUpToDate = from === before || events[0] === undefined || isBehind(from, events[0].position);
    follower.receive(isUpToDate ? events : events.filter((one) => isBehind(from, one.position)));
    if (from === before || isBehind(from, this.#position)) follower.position = this.#position;
  }
}

interface FeedPage {
  events: TailEvent[];
  position: string;
  more: boolean;
}

/** The events of the next commits after a position. */
async function eventsAfter(db: Db, orgId: string, after: string): Promise<FeedPage> {
  const { entries, more } = await readWholeFeed(db, orgId, after, BATCH);
  const tailEvents = await Promise.all(
    entries.map(async (one): Promise<TailEvent | null> => {
      const { position } = one;
      if ('note' in one) return { position, pool: null, event: one.note };
      const loaded = await nullIfUnreadable(db, () => loadEvent(db, orgId, one.task_id, one.sequence));
      // Events that were purged or cannot be read are skipped.
      if (loaded === null) return null;
      return { position, pool: poolOf(loaded.task), event: { task_id: one.task_id, ...loaded.event } };
    }),
  );
  const events = tailEvents.filter((one) => one !== null);
  return { events, position: entries.at(-1)?.position ?? after, more };
}

/** Whether a position of the feed is before another. */
function isBehind(one: string, other: string): boolean {
  const [a, b] = [one.split(/[-/]/).map(Number), other.split(/[-/]/).map(Number)];
  for (const [index, part] of a.entries()) if (part !== b[index]) return part < (b[index] ?? 0);
  return false;
}
