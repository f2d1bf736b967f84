// What a worker's client is told while it listens: first what stands (or, when it comes back in time, what it
// missed), then every change of their offers, their tasks and themselves. The log says what changed; what is
// sent is how it is now, so a client that was away is never told of things that are over as if they were not.

import type { Task } from '../../state/tasks/task.ts';
import { offerView, workerTaskView } from '../../state/tasks/view.ts';
import { workerView } from '../../state/workers/view.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Changes } from '../../store/redis/pub-sub.ts';
import { loadTasks } from '../../store/tasks/tasks.ts';
import { type LogEntry, lastLogged, readLog } from '../../store/workers/worker-log.ts';
import { loadWorker } from '../../store/workers/workers.ts';
import { isOwnTask, mayShowTask, ownOffers } from '../access/own-task.ts';
import type { WorkerPrincipal } from '../access/principal.ts';
import type { EventStream, StreamEvent } from './event-stream.ts';

/** News can be lost; the feed looks for itself this often, ms. */
const LOOK = 10_000;

export class WorkerFeed {
  readonly #db: Db;
  readonly #changes: Changes;
  readonly #who: WorkerPrincipal;
  readonly #stream: EventStream;
  #position = '0-0';
  #shownWorker = '';
  #reading = false;
  #news = false;

  constructor(db: Db, changes: Changes, who: WorkerPrincipal, stream: EventStream) {
    this.#db = db;
    this.#changes = changes;
    this.#who = who;
    this.#stream = stream;
  }

  /** @param after the last event the client has had; null for none. @returns what ends it. */
  async start(after: string | null): Promise<() => void> {
    const { org_id, worker_id } = this.#who;
    this.#reading = true;
    const stop = await this.#changes.listen(org_id, (what) => {
      if (what === `worker ${worker_id}`) this.#look();
    });
    try {
      const missed = after === null ? null : await readLog(this.#db, org_id, worker_id, after);
      if (after !== null && missed !== null) {
        this.#position = after;
        await this.#tell(missed);
      } else await this.#tellAll(after !== null);
    } catch (error) {
      stop();
      throw error;
    }
    this.#reading = false;
    if (this.#news) this.#look();
    const timer = setInterval(() => this.#look(), LOOK + Math.random() * 1000);
    return () => {
      clearInterval(timer);
      stop();
    };
  }

  #look(): void {
    this.#news = true;
    if (this.#reading) return;
    this.#reading = true;
    void this.#read().finally(() => {
      this.#reading = false;
    });
  }

  async #read(): Promise<void> {
    const { org_id, worker_id } = this.#who;
    try {
      while (this.#news && !this.#stream.isOver) {
        this.#news = false;
        const entries = await readLog(this.#db, org_id, worker_id, this.#position);
        if (entries === null) await this.#tellAll(true);
        else await this.#tell(entries);
      }
    } catch {
      // Redis is away; the next look reads on from here.
    }
  }

  /** All that stands. @param anew whether the client must forget what it was told before. */
  async #tellAll(anew: boolean): Promise<void> {
    const { org_id, worker_id } = this.#who;
    const last = await lastLogged(this.#db, org_id, worker_id);
    const [worker, offers] = await Promise.all([
      loadWorker(this.#db, org_id, worker_id),
      ownOffers({ db: this.#db }, this.#who),
    ]);
    const held = await loadTasks(this.#db, org_id, worker?.reservations ?? []);
    const tasks = held.flatMap((one) => (one !== null && isOwnTask(one.task, this.#who) ? [one.task] : []));
    if (anew) this.#stream.send({ event: 'reset', data: {} });
    for (const { task, offer } of offers) this.#stream.send({ event: 'offer', data: offerView(task, offer) });
    for (const task of tasks) this.#stream.send({ event: 'task', data: workerTaskView(task) });
    this.#position = last;
    this.#shownWorker = JSON.stringify(worker === null ? {} : workerView(worker, this.#who));
    this.#stream.send({ id: last, event: 'worker', data: JSON.parse(this.#shownWorker) });
  }

  /** What the entries are about, as it is now, and the worker when something about them is new. */
  async #tell(entries: readonly LogEntry[]): Promise<void> {
    const { org_id, worker_id } = this.#who;
    const ids = [...new Set(entries.map((one) => one.task_id))];
    const [worker, stored] = await Promise.all([
      loadWorker(this.#db, org_id, worker_id),
      ids.length === 0 ? [] : loadTasks(this.#db, org_id, ids),
    ]);
    const tasks = new Map(stored.map((one, index) => [ids[index], one?.task]));
    for (const entry of entries) {
      const events = this.#eventsOf(entry, tasks.get(entry.task_id));
      for (const [index, event] of events.entries())
        this.#stream.send(index === events.length - 1 ? { ...event, id: entry.id } : event);
      this.#position = entry.id;
    }
    if (worker === null) return;
    const shown = JSON.stringify(workerView(worker, this.#who));
    if (shown === this.#shownWorker) return;
    this.#shownWorker = shown;
    this.#stream.send({ event: 'worker', data: JSON.parse(shown) });
  }

  #eventsOf({ offers, work, task_id }: LogEntry, task: Task | undefined): StreamEvent[] {
    // Of a task that is gone only a token for all pools is told.
    if (!(task === undefined ? this.#who.pools.includes('*') : mayShowTask(task, this.#who))) return [];
    const events = offers.flatMap(({ offer_id, status }): StreamEvent[] => {
      if (status !== 'pending') return [{ event: 'offer_ended', data: { offer_id, task_id, status } }];
      const offer = task?.offers.find((one) => one.offer_id === offer_id && one.status === 'pending');
      return task === undefined || offer === undefined
        ? []
        : [{ event: 'offer', data: offerView(task, offer) }];
    });
    if (!work) return events;
    return task !== undefined && isOwnTask(task, this.#who)
      ? [...events, { event: 'task', data: workerTaskView(task) }]
      : [...events, { event: 'task_gone', data: { task_id } }];
  }
}
