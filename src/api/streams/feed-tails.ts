// The live end of an org's feed. However many clients follow it, one tail an org reads it: once for each
// news, and hands what is new to all of them. Who comes back after a while first catches up alone.

import { poolOf } from '../../state/tasks/task.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Changes } from '../../store/redis/pub-sub.ts';
import { readableOrNull } from '../../store/redis/unreadable.ts';
import { type FeedEvent, lastPosition, type OrgEvent, readWholeFeed } from '../../store/tasks/feed.ts';
import { loadEvent } from '../../store/tasks/tasks.ts';

/** Commits read at once. */
const BATCH = 100;
/** Pages kept for others who catch up. */
const PAGES_KEPT = 10;
/** News can be lost; the tail looks for itself this often, ms. */
const LOOK = 5000;

export interface TailEvent {
  position: string;
  /** Of the task that it is about; null for none, and for what happened to the org itself. */
  pool: string | null;
  event: FeedEvent | OrgEvent;
}

export interface Follower {
  /** The last position this one has seen; null: from now on. Kept up by the tail. */
  position: string | null;
  /** Takes what is new, in order. */
  receive(events: readonly TailEvent[]): void;
  /** Resolves when it can take more of what it missed. */
  ready(): Promise<void>;
  readonly isOver: boolean;
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
   * Follows the org's feed from the follower's position on; resolves once that is under way.
   * @returns what ends it. @throws the client's error when Redis is away.
   */
  async follow(orgId: string, follower: Follower): Promise<() => void> {
    const tail = this.#tails.get(orgId) ?? new Tail(this.#db, this.#changes, orgId);
    this.#tails.set(orgId, tail);
    tail.users += 1;
    const leave = () => {
      tail.leave(follower);
      tail.users -= 1;
      if (tail.users > 0) return;
      tail.stop();
      if (this.#tails.get(orgId) === tail) this.#tails.delete(orgId);
    };
    try {
      await tail.started();
    } catch (error) {
      leave();
      if (this.#tails.get(orgId) === tail) this.#tails.delete(orgId);
      throw error;
    }
    void tail.join(follower);
    return leave;
  }
}

class Tail {
  users = 0;
  readonly #db: Db;
  readonly #changes: Changes;
  readonly #orgId: string;
  readonly #followers = new Set<Follower>();
  #position = '0-0/0';
  #starting: Promise<void> | null = null;
  #stopListening = () => {};
  #timer: NodeJS.Timeout | null = null;
  /** Pages read lately for those who catch up, by the position they begin behind. */
  readonly #pages = new Map<string, Promise<FeedPage>>();
  #catchingUp: Promise<unknown> = Promise.resolve();
  #pumping = false;
  #news = false;

  constructor(db: Db, changes: Changes, orgId: string) {
    this.#db = db;
    this.#changes = changes;
    this.#orgId = orgId;
  }

  /** Resolves when the tail listens and knows where it stands. */
  started(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    this.#stopListening = await this.#changes.listen(this.#orgId, (what) => {
      if (what.startsWith('task ') || what === 'feed') this.#pump();
    });
    this.#timer = setInterval(() => this.#pump(), LOOK);
    this.#position = await lastPosition(this.#db, this.#orgId);
  }

  stop(): void {
    this.#stopListening();
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  leave(follower: Follower): void {
    this.#followers.delete(follower);
  }

  /** Tells the follower what it missed, then lets it hear what comes. */
  async join(follower: Follower): Promise<void> {
    follower.position ??= this.#position;
    while (!follower.isOver) {
      // Between this look and joining nothing is awaited: what comes meanwhile is either read or heard.
      if (isBehind(follower.position, this.#position)) {
        const end = this.#position;
        try {
          const { events, position } = await this.#pageBehind(follower.position);
          follower.receive(events);
          // What the feed has let go of is not waited for.
          follower.position = position === follower.position ? end : position;
        } catch {
          // Redis is away; the next look may find it back.
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
   * The page behind a position, for those who catch up: read once for all who are there, and one page at a time for the
   * whole org, so that a hundred who come back at once cost what one does.
   */
  #pageBehind(position: string): Promise<FeedPage> {
    const known = this.#pages.get(position);
    if (known !== undefined) return known;
    const page = this.#catchingUp.then(() => eventsAfter(this.#db, this.#orgId, position));
    this.#pages.set(position, page);
    const forget = () => {
      if (this.#pages.get(position) === page) this.#pages.delete(position);
    };
    // A page that is not full will have more later.
    this.#catchingUp = page.then(({ more }) => (more ? undefined : forget()), forget);
    const [oldest] = this.#pages.size > PAGES_KEPT ? this.#pages.keys() : [];
    if (oldest !== undefined) this.#pages.delete(oldest);
    return page;
  }

  #pump(): void {
    this.#news = true;
    if (this.#pumping) return;
    this.#pumping = true;
    void this.#read().finally(() => {
      this.#pumping = false;
    });
  }

  async #read(): Promise<void> {
    try {
      while (this.#news) {
        this.#news = false;
        const { events, position, more } = await eventsAfter(this.#db, this.#orgId, this.#position);
        const before = this.#position;
        this.#position = position;
        if (more) this.#news = true;
        for (const follower of this.#followers) this.#tell(follower, events, before);
      }
    } catch {
      // Redis is away; the next look reads on from here.
    }
  }

  #tell(follower: Follower, events: readonly TailEvent[], before: string): void {
    const from = follower.position ?? '';
    // All but those who joined a moment ago stand where the tail stood.
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

/** The events of the next commits behind a position. */
async function eventsAfter(db: Db, orgId: string, after: string): Promise<FeedPage> {
  const { entries, more } = await readWholeFeed(db, orgId, after, BATCH);
  const found = await Promise.all(
    entries.map(async (one): Promise<TailEvent | null> => {
      const { position } = one;
      if ('note' in one) return { position, pool: null, event: one.note };
      const about = await readableOrNull(db, () => loadEvent(db, orgId, one.task_id, one.sequence));
      // What is purged meanwhile, or cannot be read, is left out.
      if (about === null) return null;
      return { position, pool: poolOf(about.task), event: { task_id: one.task_id, ...about.event } };
    }),
  );
  const events = found.filter((one) => one !== null);
  return { events, position: entries.at(-1)?.position ?? after, more };
}

/** Whether a position of the feed lies before another. */
function isBehind(one: string, other: string): boolean {
  const [a, b] = [one.split(/[-/]/).map(Number), other.split(/[-/]/).map(Number)];
  for (const [index, part] of a.entries()) if (part !== b[index]) return part < (b[index] ?? 0);
  return false;
}
