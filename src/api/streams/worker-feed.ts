// The event stream of one worker. A new client first gets the current state, a client that reconnects in time gets what
// it missed; then both get every change of the worker's offers, tasks and own record. The log names what changed, and the
// current state of that is sent, so that a client never gets an outdated offer or task as current.

import type { Task } from '../../state/tasks/task.ts';
import { offerView, workerTaskView } from '../../state/tasks/view.ts';
import { workerView } from '../../state/workers/view.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Changes } from '../../store/redis/pub-sub.ts';
import { loadTasks } from '../../store/tasks/tasks.ts';
import { type LogEntry, lastLogged, readLog } from '../../store/workers/worker-log.ts';
import { loadWorker } from '../../store/workers/workers.ts';
import { isOwnTask, mayShowTask, ownOffers } from '../access/own-task.ts';
import { maySeePool, type WorkerPrincipal } from '../access/principal.ts';
import type { EventStream, StreamEvent } from './event-stream.ts';

/** Polling interval, ms: notifications can be lost. */
const POLL_INTERVAL_MS = 10_000;

export class WorkerFeed {
  readonly #db: Db;
  readonly #changes: Changes;
  readonly #principal: WorkerPrincipal;
  readonly #stream: EventStream;
  #position = '0-0';
  #shownWorker = '';
  #reading = false;
  #news = false;

  constructor(db: Db, changes: Changes, principal: WorkerPrincipal, stream: EventStream) {
    this.#db = db;
    this.#changes = changes;
    this.#principal = principal;
    this.#stream = stream;
  }

  /** Starts sending. @param after id of the last event that the client got; null for none. @returns a function that stops it */
  async start(after: string | null): Promise<() => void> {
    const { org_id, worker_id } = this.#principal;
    this.#reading = true;
    const stop = await this.#changes.listen(org_id, (what) => {
      if (what === `worker ${worker_id}`) this.#look();
    });
    try {
      const missed = after === null ? null : await readLog(this.#db, org_id, worker_id, after);
      if (after !== null && missed !== null) {
        this.#position = after;
        await this.#sendChanges(missed);
      } else await this.#sendState(after !== null);
    } catch (error) {
      stop();
      throw error;
    }
    this.#reading = false;
    if (this.#news) this.#look();
    const timer = setInterval(() => this.#look(), POLL_INTERVAL_MS + Math.random() * 1000);
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
    const { org_id, worker_id } = this.#principal;
    try {
      while (this.#news && !this.#stream.isOver) {
        this.#news = false;
        const entries = await readLog(this.#db, org_id, worker_id, this.#position);
        if (entries === null) await this.#sendState(true);
        else await this.#sendChanges(entries);
      }
    } catch {
      // Redis is unavailable; the next poll continues from here.
    }
  }

  /** Sends the whole current state. @param reset whether the client must discard what it has got before. */
  async #sendState(reset: boolean): Promise<void> {
    const { org_id, worker_id } = this.#principal;
    const last = await lastLogged(this.#db, org_id, worker_id);
    const [worker, offers] = await Promise.all([
      loadWorker(this.#db, org_id, worker_id),
      ownOffers(this.#db, this.#principal),
    ]);
    const held = await loadTasks(this.#db, org_id, worker?.reservations ?? []);
    const tasks = held.flatMap((one) =>
      one !== null && isOwnTask(one.task, this.#principal) ? [one.task] : [],
    );
    if (reset) this.#stream.send({ event: 'reset', data: {} });
    for (const { task, offer } of offers) this.#stream.send({ event: 'offer', data: offerView(task, offer) });
    for (const task of tasks) this.#stream.send({ event: 'task', data: workerTaskView(task) });
    this.#position = last;
    this.#shownWorker = JSON.stringify(worker === null ? {} : workerView(worker, this.#principal));
    this.#stream.send({ id: last, event: 'worker', data: JSON.parse(this.#shownWorker) });
  }

  /** Sends the current state of what the entries name, and the worker when the record has changed. */
  async #sendChanges(entries: readonly LogEntry[]): Promise<void> {
    const { org_id, worker_id } = this.#principal;
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
    const shown = JSON.stringify(workerView(worker, this.#principal));
    if (shown === this.#shownWorker) return;
    this.#shownWorker = shown;
    this.#stream.send({ event: 'worker', data: JSON.parse(shown) });
  }

  #eventsOf({ offers, assigned, task_id, pool }: LogEntry, task: Task | undefined): StreamEvent[] {
    // The pool of a purged task is unknown, so only a token for all pools is told of it.
    const isShown =
      task === undefined
        ? this.#principal.pools.includes('*')
        : mayShowTask(task, this.#principal) || isOwnTask(task, this.#principal);
    // The client may have a task that has been moved to another pool, and is told when it loses that.
    const wasShown = pool !== undefined && maySeePool(this.#principal, pool);
    if (!isShown && !wasShown) return [];
    const events = offers.flatMap(({ offer_id, status }): StreamEvent[] => {
      if (status !== 'pending') return [{ event: 'offer_ended', data: { offer_id, task_id, status } }];
      const offer = task?.offers.find((one) => one.offer_id === offer_id && one.status === 'pending');
      return task === undefined || offer === undefined || !isShown
        ? []
        : [{ event: 'offer', data: offerView(task, offer) }];
    });
    if (!assigned) return events;
    return task !== undefined && isOwnTask(task, this.#principal)
      ? [...events, { event: 'task', data: workerTaskView(task) }]
      : [...events, { event: 'task_gone', data: { task_id } }];
  }
}
