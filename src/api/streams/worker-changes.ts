// What has changed for a worker: read and made into frames once for all of their streams in this process that are at the same
// position of the log.

import type { Task } from '../../state/tasks/task.ts';
import { offerView, workerTaskView } from '../../state/tasks/view.ts';
import { workerView } from '../../state/workers/view.ts';
import type { Worker } from '../../state/workers/worker.ts';
import type { Db } from '../../store/redis/connection.ts';
import { loadTasks } from '../../store/tasks/tasks.ts';
import { type LogEntry, readLog } from '../../store/workers/worker-log.ts';
import { loadWorker } from '../../store/workers/workers.ts';
import { isOwnTask, mayShowTask } from '../access/own-task.ts';
import { maySeePool, type WorkerPrincipal } from '../access/principal.ts';
import { frame, frameOf, type StreamEvent } from './event-stream.ts';

/** Changes as a token may see them. */
export interface ShownChanges {
  /** Frames of what happened to offers and tasks; empty if nothing did that the token may see. */
  frames: Buffer;
  /** The worker's present record as JSON; null when it no longer exists. */
  worker: string | null;
  /** `frames`, and one of the record. */
  framesAndWorker: Buffer;
}

/** The changes after a position. */
export class WorkerChanges {
  /** Position of the last of them; null if there are none. */
  readonly position: string | null;
  readonly #entries: readonly LogEntry[];
  readonly #tasks: ReadonlyMap<string, Task | undefined>;
  readonly #worker: Worker | null;
  readonly #shown = new Map<string, ShownChanges>();

  constructor(
    entries: readonly LogEntry[],
    tasks: ReadonlyMap<string, Task | undefined>,
    worker: Worker | null,
  ) {
    this.position = entries.at(-1)?.id ?? null;
    this.#entries = entries;
    this.#tasks = tasks;
    this.#worker = worker;
  }

  /** What a token may see of them. */
  shownTo(principal: WorkerPrincipal): ShownChanges {
    const key = JSON.stringify([principal.incarnation, principal.pools]);
    const known = this.#shown.get(key);
    if (known !== undefined) return known;
    const texts = this.#entries.flatMap((entry) => {
      const events = eventsOf(entry, this.#tasks.get(entry.task_id), principal);
      return events.map((event, index) =>
        frame(index === events.length - 1 ? { ...event, id: entry.id } : event),
      );
    });
    const worker = this.#worker === null ? null : JSON.stringify(workerView(this.#worker, principal));
    const frames = Buffer.from(texts.join(''));
    const framesAndWorker =
      worker === null ? frames : Buffer.concat([frames, Buffer.from(frameOf('worker', worker))]);
    const shown = { frames, worker, framesAndWorker };
    this.#shown.set(key, shown);
    return shown;
  }
}

const underWay = new WeakMap<Db, Map<string, Promise<WorkerChanges | null>>>();

/**
 * The changes after a position, with the present state of what they name; null when some of them have been removed. Those who
 * ask in the same turn of the event loop, as all do who were just notified, share an answer: a later one may ask because of a
 * newer change.
 */
export function changesAfter(
  db: Db,
  { org_id, worker_id }: WorkerPrincipal,
  position: string,
): Promise<WorkerChanges | null> {
  const all = underWay.get(db) ?? new Map<string, Promise<WorkerChanges | null>>();
  underWay.set(db, all);
  const key = `${org_id} ${worker_id} ${position}`;
  const known = all.get(key);
  if (known !== undefined) return known;
  const changes = load(db, org_id, worker_id, position);
  all.set(key, changes);
  process.nextTick(() => all.delete(key));
  return changes;
}

async function load(db: Db, orgId: string, workerId: string, after: string): Promise<WorkerChanges | null> {
  const entries = await readLog(db, orgId, workerId, after);
  if (entries === null) return null;
  const ids = [...new Set(entries.map((one) => one.task_id))];
  const [worker, stored] = await Promise.all([
    loadWorker(db, orgId, workerId),
    ids.length === 0 ? [] : loadTasks(db, orgId, ids),
  ]);
  const tasks = new Map(ids.map((id, index) => [id, stored[index]?.task]));
  return new WorkerChanges(entries, tasks, worker);
}

function eventsOf(
  { offers, assigned, task_id, pool }: LogEntry,
  task: Task | undefined,
  principal: WorkerPrincipal,
): StreamEvent[] {
  // The pool of a purged task is unknown, so only a token for all pools is told of it.
  const isShown =
    task === undefined
      ? principal.pools.includes('*')
      : mayShowTask(task, principal) || isOwnTask(task, principal);
  // The client may have a task that has been moved to another pool, and is told when it loses that.
  const wasShown = pool !== undefined && maySeePool(principal, pool);
  if (!isShown && !wasShown) return [];
  const events = offers.flatMap(({ offer_id, status }): StreamEvent[] => {
    if (status !== 'pending') return [{ event: 'offer_ended', data: { offer_id, task_id, status } }];
    const offer = task?.offers.find((one) => one.offer_id === offer_id && one.status === 'pending');
    return task === undefined || offer === undefined || !isShown
      ? []
      : [{ event: 'offer', data: offerView(task, offer) }];
  });
  if (!assigned) return events;
  return task !== undefined && isOwnTask(task, principal)
    ? [...events, { event: 'task', data: workerTaskView(task) }]
    : [...events, { event: 'task_gone', data: { task_id } }];
}
