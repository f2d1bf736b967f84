// The one commit of a change: the tasks that were decided on, the workers whose reservations change with them, their logs, and
// what the caller wants written beside them.

import { isFinal } from '../../state/tasks/lifecycle.ts';
import type { Task } from '../../state/tasks/task.ts';
import type { Worker } from '../../state/workers/worker.ts';
import { annotate } from '../../tracing/tracing.ts';
import { type Change, commit, EMPTY_CHANGE, type Guard, merge } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { isWholeUpTo, type PackedEntry } from '../tasks/task-record.ts';
import { loadEntries } from '../tasks/tasks.ts';
import { logWrites } from '../workers/worker-log.ts';
import { workerNotification } from '../workers/workers.ts';
import { claimChange, type Decided } from './copies.ts';
import { findListeners, hasListeners, noListeners } from './listeners.ts';
import { mayConcernWorker, type Refused, reserve } from './reservations.ts';
import { taskWrites } from './task-writes.ts';

/** Guards and writes of the same commit as the change, such as an idempotent response. */
export type ExtraWrites = (task: Task) => Change;

/** What a change writes beside its tasks, and what of the commit was loaded a moment ago. */
export interface WrittenBeside {
  extraWrites?: ExtraWrites | undefined;
  /** Workers whose reservations may change. */
  loadedWorkers?: readonly Worker[] | undefined;
  /** The history of the task, read together with it or later; for a change that may end it. */
  loadedHistory?: readonly PackedEntry[] | undefined;
}

/** `conflict`: a guard failed, so the change is to be decided again. */
export interface WriteOutcome {
  kind: 'written' | 'conflict' | Refused['kind'];
}

/**
 * Commits decided changes together with the workers whose reservations they change.
 * @param decided the change that was asked for, then those of related tasks.
 */
export async function writeChanges(
  db: Db,
  decided: readonly [Decided, ...Decided[]],
  { guards, extraWrites, loadedWorkers = [], loadedHistory }: { guards: readonly Guard[] } & WrittenBeside,
): Promise<WriteOutcome> {
  const [{ task }] = decided;
  const [reserved, claims, histories, isHeard] = decided.some(mayConcernWorker)
    ? await Promise.all([
        reserve(db, task.org_id, decided, loadedWorkers),
        claimChange(db, decided),
        Promise.all(
          decided.map((one, index) => historySoFar(db, one, index === 0 ? loadedHistory : undefined)),
        ),
        hasListeners(db, task.org_id),
      ])
    : ([...OF_NEW_TASKS, await hasListeners(db, task.org_id)] as const);
  if ('kind' in reserved) return reserved;
  if (claims === null) return { kind: 'worker_busy' };
  const extra = extraWrites?.(task) ?? EMPTY_CHANGE;
  const commitFor = (heard: boolean) =>
    commit(
      db.redis,
      merge(
        ...decided.map((one, index) => taskWrites(db, one, histories[index] ?? [], heard)),
        ...reserved.changes,
        ...decided.map((one) => logChange(db, one, reserved.workerIds)),
        claims,
        { guards: heard ? guards : [...guards, ...noListeners(db, task.org_id)], writes: [] },
        extra,
        { guards: decided.flatMap((one) => dueGuards(db, one)), writes: [] },
      ),
    );
  annotate({ org_id: task.org_id, task_id: task.task_id });
  // The first listener of the org may have come since.
  const isWritten =
    (await commitFor(isHeard)) ||
    (!isHeard && (await findListeners(db, task.org_id)) && (await commitFor(true)));
  if (!isWritten) return { kind: 'conflict' };
  for (const one of decided) db.onTaskChanged?.(one.before?.task ?? null, one.task);
  return { kind: 'written' };
}

/** New tasks have no workers, claims and histories yet, so none is looked up. */
const OF_NEW_TASKS = [{ changes: [], workerIds: new Set<string>() }, EMPTY_CHANGE, []] as const;

/** The history of a task before the change that ends it; for other changes, which do not need it, empty. */
function historySoFar(
  db: Db,
  { before, task }: Decided,
  loaded?: readonly PackedEntry[],
): readonly PackedEntry[] | Promise<PackedEntry[]> {
  if (before === null || !isFinal(task.status)) return [];
  // In a cluster, one of two reads may follow its key to another node while a change is committed.
  return loaded !== undefined && isWholeUpTo(before.head, loaded) ? loaded : loadEntries(db, before);
}

function dueGuards({ prefix, clock }: Db, { due, task: { org_id, task_id } }: Decided): Guard[] {
  return due === null ? [] : [{ kind: 'due', key: orgKeysOf(prefix, org_id).task(task_id), at: due, clock }];
}

/** The entries in the logs of the workers concerned. @param changed workers whose own change publishes a notification */
function logChange(db: Db, { before, task }: Decided, changed: ReadonlySet<string>): Change {
  if (before === null) return EMPTY_CHANGE;
  const log = logWrites(db, before.task, task);
  const others = log.workerIds.filter((id) => !changed.has(id));
  const notifications = others.map((id) => workerNotification(db, task.org_id, id));
  return { guards: [], writes: [...log.writes, ...notifications] };
}
