// The event stream of one worker. A new client first gets the current state, a client that reconnects in time gets what
// it missed; then both get every change of the worker's offers, tasks and own record. The log names what changed, and the
// current state of that is sent, so that a client never gets an outdated offer or task as current.

import { offerView, workerTaskView } from '../../state/tasks/view.ts';
import { workerView } from '../../state/workers/view.ts';
import type { Db } from '../../store/redis/connection.ts';
import type { Changes } from '../../store/redis/pub-sub.ts';
import { loadTasks } from '../../store/tasks/tasks.ts';
import { lastLogged } from '../../store/workers/worker-log.ts';
import { loadWorker } from '../../store/workers/workers.ts';
import { isOwnTask, ownOffers } from '../access/own-task.ts';
import type { WorkerPrincipal } from '../access/principal.ts';
import type { EventStream } from './event-stream.ts';
import { changesAfter, type WorkerChanges } from './worker-changes.ts';

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
    const topic = `worker ${worker_id}`;
    const stop = await this.#changes.listen(org_id, (what) => {
      if (what === topic) this.#look();
    });
    try {
      const missed = after === null ? null : await changesAfter(this.#db, this.#principal, after);
      if (after !== null && missed !== null) {
        this.#position = after;
        this.#sendChanges(missed);
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
    try {
      while (this.#news && !this.#stream.isOver) {
        this.#news = false;
        const changes = await changesAfter(this.#db, this.#principal, this.#position);
        if (changes === null) await this.#sendState(true);
        else this.#sendChanges(changes);
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

  /** Sends changes, and the worker when the record has changed. */
  #sendChanges(changes: WorkerChanges): void {
    const { frames, worker, framesAndWorker } = changes.shownTo(this.#principal);
    const isNew = worker !== null && worker !== this.#shownWorker;
    const sent = isNew ? framesAndWorker : frames;
    if (sent.length > 0) this.#stream.sendFrames(sent);
    this.#position = changes.position ?? this.#position;
    if (isNew) this.#shownWorker = worker;
  }
}
