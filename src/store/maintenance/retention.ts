// Purges final tasks. The commit that ends a task adds entries to a sorted set (`retention-index.ts`), scored by when they are due:
//
// 1. That of the task is due `audit.retain_days` after the end. One commit removes the task with its history, deliveries and
//    evidence (the sweep removes the bytes), its references in feed, lists and indexes, and the entry itself. So an
//    interrupted purge leaves the entry and is repeated.
// 2. That of its history alone, for a task with `audit.log_required: false`, is due at once and removes history and deliveries.
//
// A purge is postponed while the task has pending deliveries, and that of a whole task for some time while it has an open
// dispute.

import { isCounted, purgedSample } from '../../state/stats/tally.ts';
import type { HistoryEntry } from '../../state/tasks/event.ts';
import { isFinal } from '../../state/tasks/lifecycle.ts';
import { heldUntil } from '../../state/tasks/retention.ts';
import type { Task } from '../../state/tasks/task.ts';
import { deliveryListWrites, lastDeliveryDue, taskRemovalWrites } from '../commands/task-removal.ts';
import { forgetHistory } from '../commands/task-writes.ts';
import { evidencePurge } from '../evidence/evidence.ts';
import { noticePurge } from '../notices/notices.ts';
import { type Change, commit, type Guard, merge, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { idTime } from '../redis/ids.ts';
import { type OrgKeys, orgKeysOf } from '../redis/keys.ts';
import { sampleWrite } from '../stats/sample-log.ts';
import { FEED_KEPT, findInFeed } from '../tasks/feed.ts';
import { dueEntries, type Purge, type RetentionEntry, retentionEntry } from '../tasks/retention-index.ts';
import { loadWhole, type WholeTask } from '../tasks/tasks.ts';
import { findInLog } from '../workers/worker-log.ts';

/** A postponed purge is tried again after this at the earliest, ms. */
const POSTPONED = 10_000;

/** A purge with its entry in the index. */
export interface Due extends Purge, RetentionEntry {
  /** When it is due, ms. */
  at: number;
}

/** An entry that says of no task that it is due. */
export type MalformedEntry = RetentionEntry & { at: number };

/** Purges that are due in a partition, the earliest first, at most `count`. @returns them, and malformed entries among them */
export async function duePurges(
  db: Db,
  partition: string,
  count: number,
): Promise<{ due: Due[]; malformed: MalformedEntry[] }> {
  const entries = await dueEntries(db, partition, count);
  const first = entries.slice(0, count);
  return {
    due: first.flatMap(({ purge, ...entry }) => (purge === null ? [] : [{ ...purge, ...entry }])),
    malformed: first.flatMap(({ purge, ...entry }) => (purge === null ? [entry] : [])),
  };
}

/** Numbers of purged tasks, and of tasks whose history and deliveries alone were purged. */
export interface Purged {
  tasks: number;
  logs: number;
}

/**
 * Runs due purges of one partition, in one commit if possible. Repeatable.
 * @throws NotDueError when one is not due by Redis' clock; UnreadableRecord
 */
export async function purge(db: Db, due: readonly Due[]): Promise<Purged> {
  // The purge of a task includes its history.
  const whole = new Set(due.filter((one) => !one.log).map((one) => one.task_id));
  const wanted = due.filter((one) => !one.log || !whole.has(one.task_id));
  const plans = await Promise.all(
    wanted.map(async (one) => planOf(db, one, await loadWhole(db, one.org_id, one.task_id))),
  );
  if (await run(db, plans)) return countOf(plans);
  // A task has changed since it was loaded: another purge got there first. The rest is purged one by one.
  const purged: Purged = { tasks: 0, logs: 0 };
  for (const plan of plans) {
    if (!(await run(db, [plan]))) continue;
    const { tasks, logs } = countOf([plan]);
    purged.tasks += tasks;
    purged.logs += logs;
  }
  return purged;
}

/** Postpones a failed purge by `ms`, so that it does not block others. */
export async function postpone(db: Db, due: Due, ms: number): Promise<void> {
  await db.redis.zadd(due.key, 'XX', db.clock.now() + ms, due.member);
}

interface Plan extends Change {
  /** What is purged; null when the purge is postponed or the task does not exist. */
  purges: 'task' | 'log' | null;
}

function run(db: Db, plans: readonly Plan[]): Promise<boolean> {
  return commit(db.redis, merge(...plans));
}

function countOf(plans: readonly Plan[]): Purged {
  const of = (what: Plan['purges']) => plans.filter((one) => one.purges === what).length;
  return { tasks: of('task'), logs: of('log') };
}

/** The purge of a task, and of its copies with it. */
async function planOf(db: Db, due: Due, whole: WholeTask | null): Promise<Plan> {
  const plan = await planOfOne(db, due, whole);
  const copies = whole?.task.copies ?? [];
  if (plan.purges === null || copies.length === 0) return plan;
  const wholes = await Promise.all(copies.map(({ task_id }) => loadWhole(db, due.org_id, task_id)));
  if (wholes.some((one) => one !== null && !isFinal(one.task.status))) {
    // One was being verified when the task ended.
    return { purges: null, guards: [], writes: [postponement(due, db.clock.now() + POSTPONED)] };
  }
  const plans = await Promise.all(
    copies.map(({ task_id }, index) => {
      const copy = { ...due, task_id };
      return planOfOne(db, { ...copy, ...retentionEntry(db, copy) }, wholes[index] ?? null);
    }),
  );
  return { ...merge(plan, ...plans), purges: plan.purges };
}

/** The write that makes a purge due at another time, unless another process has done it. @param at ms */
function postponement({ key, member }: RetentionEntry, at: number): Write {
  return ['ZADD', key, 'XX', at, member];
}

async function planOfOne(db: Db, due: Due, whole: WholeTask | null): Promise<Plan> {
  const keys = orgKeysOf(db.prefix, due.org_id);
  const done: Write = ['ZREM', due.key, due.member];
  if (whole === null) return { purges: null, guards: [], writes: [done] };
  const { task, history, packed } = whole;
  const guards: Guard[] = [
    { kind: 'version', key: keys.task(task.task_id), version: task.version },
    { kind: 'due', key: due.key, at: due.at, clock: db.clock },
  ];
  const held = due.log ? null : heldUntil(task, db.clock.now());
  if (held !== null) return { purges: null, guards, writes: [postponement(due, held)] };
  const deliveryDue = await lastDeliveryDue(db, task);
  if (deliveryDue !== null) {
    const at = Math.max(deliveryDue, db.clock.now() + POSTPONED);
    return { purges: null, guards, writes: [postponement(due, at)] };
  }
  const references = await referenceWrites(db, task, history);
  // Their list members contain times of the events and cannot be derived once the history is gone.
  const fields = await db.redis.hkeys(keys.deliveries(task.task_id));
  const listed = deliveryListWrites(db, task, history, fields);
  const evidence = await evidencePurge(db, task.org_id, task.task_id);
  return due.log
    ? {
        purges: 'log',
        // Resealing replaces the input without a new version.
        guards: [
          ...guards,
          { kind: 'field', key: keys.task(task.task_id), field: 'z', value: packed ?? null },
        ],
        writes: [
          ...forgetHistory(db, task),
          ...listed,
          ['UNLINK', keys.deliveries(task.task_id)],
          ...references,
          done,
        ],
      }
    : {
        purges: 'task',
        guards: [...guards.slice(0, -1), ...evidence.guards, ...guards.slice(-1)],
        writes: [
          ...listed,
          ...taskRemovalWrites(db, task),
          ...(isCounted(task) ? [sampleWrite(db, purgedSample(task, idTime(task.task_id)))] : []),
          ...evidence.writes,
          ...references,
          done,
        ],
      };
}

/** Writes that remove the references of the history from the org's feed and the workers' offers and logs. */
async function referenceWrites(db: Db, task: Task, history: readonly HistoryEntry[]): Promise<Write[]> {
  const keys = orgKeysOf(db.prefix, task.org_id);
  // Older entries have left the feed already.
  const recent = history.filter((one) => Date.parse(one.at) > db.clock.now() - FEED_KEPT);
  const feedEntries = await findInFeed(db, task.org_id, task.task_id, recent);
  const offers = history.flatMap(offersIn);
  const logs = await Promise.all(
    [...new Set(offers.map((one) => one.worker_id))].map(async (id): Promise<Write[]> => {
      const entries = await findInLog(db, task.org_id, id, task.task_id);
      const notices = await noticePurge(db, task.org_id, id, task.task_id);
      return entries.length === 0 ? notices : [['XDEL', keys.workerLog(id), ...entries], ...notices];
    }),
  );
  return [
    ...logs.flat(),
    ...(feedEntries.length === 0 ? [] : [['XDEL', keys.feed, ...feedEntries] as const]),
    ...offers.map((offer) => offerWrite(keys, offer, task.task_id)),
  ];
}

interface OfferRef {
  offer_id: string;
  worker_id: string;
}

function offerWrite(keys: OrgKeys, { offer_id, worker_id }: OfferRef, taskId: string): Write {
  return ['ZREM', keys.workerOffers(worker_id), `${offer_id} ${taskId}`];
}

/** The offers in a history entry. */
function offersIn({ type, data }: HistoryEntry): OfferRef[] {
  if (type !== 'task.offered') return [];
  const all: unknown[] = Array.isArray(data.offers) ? data.offers : [data];
  return all.filter(isOfferRef);
}

function isOfferRef(value: unknown): value is OfferRef {
  return (
    typeof value === 'object' &&
    value !== null &&
    'offer_id' in value &&
    'worker_id' in value &&
    typeof value.offer_id === 'string' &&
    typeof value.worker_id === 'string'
  );
}
