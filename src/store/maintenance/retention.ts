// How long a finished task is kept. The commit that ends a task notes in the `retain` index when it is to go:
//
// 1. `<org> <task>` is due `audit.retain_days` after the end. One commit takes the task with its history, its
//    deliveries, its evidence (the bytes go with the next sweep), its references in feed, lists and indexes,
//    and the note itself: whoever is killed on the way leaves the note, and all of it is done again.
// 2. `<org> <task> log`, of a task that asks for no log, is due at once and takes the history and the deliveries.
//
// Neither happens while an event of the task is still owed to a receiver: it is asked again when that is due.

import { type Due, logNote, readNote } from '../../state/tasks/retention.ts';
import type { HistoryEntry, Task } from '../../state/tasks/task.ts';
import { forgetHistory, indexesOf } from '../commands/task-writes.ts';
import { evidencePurge } from '../evidence/evidence.ts';
import { type Change, commit, type Guard, merge, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { type OrgKeys, orgKeysOf, partitionKeys } from '../redis/keys.ts';
import { FEED_KEPT, findInFeed } from '../tasks/feed.ts';
import { loadWhole, type WholeTask } from '../tasks/tasks.ts';
import { DELIVERY_STATUSES } from '../webhooks/delivery-record.ts';
import {
  type DeliveryTarget,
  deadMember,
  deliveriesIndex,
  listedMember,
  PARKED,
  pendingMember,
  readField,
} from '../webhooks/delivery-target.ts';
import { findInLog } from '../workers/worker-log.ts';

/** What cannot be purged yet is not asked again before this, ms. */
const PAUSE = 10_000;

/** What is due in a partition, at most `count`. */
export async function duePurges(db: Db, partition: string, count: number): Promise<Due[]> {
  const { retain } = partitionKeys(db.prefix, partition);
  const now = db.clock.now();
  const flat = await db.redis.zrangebyscore(retain, 0, now, 'WITHSCORES', 'LIMIT', 0, count);
  return flat.flatMap((member, index) => (index % 2 === 0 ? readNote(member, Number(flat[index + 1])) : []));
}

export interface Purged {
  tasks: number;
  logs: number;
}

/**
 * Does what is due, all of one partition, in one commit where nothing comes in between. May be repeated.
 * @throws NotDueError when Redis' own clock says that it is not due; UnreadableRecord when one cannot be read
 */
export async function purge(db: Db, due: readonly Due[]): Promise<Purged> {
  // What takes the whole task takes its history too.
  const whole = new Set(due.filter((one) => !one.log).map((one) => one.task_id));
  const wanted = due.filter((one) => !one.log || !whole.has(one.task_id));
  const plans = await Promise.all(
    wanted.map(async (one) => planOf(db, one, await loadWhole(db, one.org_id, one.task_id))),
  );
  if (await run(db, plans)) return countOf(plans);
  // One of them is not as it was read, which of a finished task only another purge can be the reason of.
  const purged: Purged = { tasks: 0, logs: 0 };
  for (const plan of plans) {
    if (!(await run(db, [plan]))) continue;
    const { tasks, logs } = countOf([plan]);
    purged.tasks += tasks;
    purged.logs += logs;
  }
  return purged;
}

/** Puts off what failed, so that it holds up nothing else. */
export async function postpone(db: Db, due: Due, ms: number): Promise<void> {
  const { retain } = orgKeysOf(db.prefix, due.org_id);
  await db.redis.zadd(retain, 'XX', db.clock.now() + ms, due.member);
}

interface Plan extends Change {
  gone: 'task' | 'log' | null;
}

function run(db: Db, plans: readonly Plan[]): Promise<boolean> {
  return commit(db.redis, merge(...plans));
}

function countOf(plans: readonly Plan[]): Purged {
  const of = (what: Plan['gone']) => plans.filter((one) => one.gone === what).length;
  return { tasks: of('task'), logs: of('log') };
}

async function planOf(db: Db, due: Due, whole: WholeTask | null): Promise<Plan> {
  const keys = orgKeysOf(db.prefix, due.org_id);
  const done: Write = ['ZREM', keys.retain, due.member];
  if (whole === null) return { gone: null, guards: [], writes: [done] };
  const { task, history } = whole;
  const guards: Guard[] = [
    { kind: 'version', key: keys.task(task.task_id), version: task.version },
    { kind: 'due', key: keys.retain, at: due.at, clock: db.clock },
  ];
  const owedUntil = await lastDeliveryDue(db, task);
  if (owedUntil !== null) {
    const at = Math.max(owedUntil, db.clock.now() + PAUSE);
    return { gone: null, guards, writes: [['ZADD', keys.retain, at, due.member]] };
  }
  const traces = await tracesOf(db, task, history);
  const evidence = await evidencePurge(db, task.org_id, task.task_id);
  return due.log
    ? {
        gone: 'log',
        guards,
        writes: [
          ...forgetHistory(db, task),
          // They tell of each event when it was, and cannot be made again without it.
          ...(await deliveryTraces(db, task, history)),
          ['UNLINK', keys.deliveries(task.task_id)],
          ...traces,
          done,
        ],
      }
    : {
        gone: 'task',
        guards: [...guards.slice(0, -1), ...evidence.guards, ...guards.slice(-1)],
        writes: [
          ...(await deliveryTraces(db, task, history)),
          ...taskPurgeWrites(db, task),
          ...evidence.writes,
          ...traces,
          done,
        ],
      };
}

/**
 * When the last event of the task that is owed is next to be tried, ms; null when none is owed, and 0 when one
 * waits for its receiver until nobody knows when.
 */
async function lastDeliveryDue(db: Db, task: Task): Promise<number | null> {
  const { deliveries, pendingDeliveries: pendingKey } = orgKeysOf(db.prefix, task.org_id);
  const fields = await db.redis.hkeys(deliveries(task.task_id));
  const toEndpoints = fields.map(readField).filter((one) => one.endpoint_id !== undefined);
  const toCallback = Array.from({ length: task.sequence }, (_, index) => ({ sequence: index + 1 }));
  const { org_id, task_id } = task;
  const members = [...toCallback, ...toEndpoints].map((one) => pendingMember({ org_id, task_id, ...one }));
  const scores = await db.redis.zmscore(pendingKey, ...members);
  const dueTimes = scores.flatMap((score) => (score === null ? [] : [Number(score)]));
  if (dueTimes.length === 0) return null;
  const last = Math.max(...dueTimes);
  return last < PARKED ? last : 0;
}

/** Writes that take the task's deliveries out of the lists they stand in. */
async function deliveryTraces(db: Db, task: Task, history: readonly HistoryEntry[]): Promise<Write[]> {
  const { org_id, task_id } = task;
  const keys = orgKeysOf(db.prefix, org_id);
  const fields = await db.redis.hkeys(keys.deliveries(task_id));
  return fields.flatMap((field): Write[] => {
    const target: DeliveryTarget = { org_id, task_id, ...readField(field) };
    const at = Date.parse(history[target.sequence - 1]?.at ?? '');
    if (Number.isNaN(at)) return [];
    const { endpoint_id: endpoint } = target;
    const dead: Write = ['ZREM', keys.dead, deadMember(target, at)];
    if (endpoint === undefined) return [dead];
    const listed = DELIVERY_STATUSES.map(
      (status): Write => ['ZREM', keys.index(deliveriesIndex(endpoint, status)), listedMember(target, at)],
    );
    return [dead, ...listed];
  });
}

function taskPurgeWrites(db: Db, task: Task): Write[] {
  const { org_id, task_id } = task;
  const keys = orgKeysOf(db.prefix, org_id);
  return [
    ['UNLINK', keys.task(task_id)],
    ['UNLINK', keys.history(task_id)],
    ['UNLINK', keys.deliveries(task_id)],
    ['UNLINK', keys.ordering(task_id)],
    ...[...indexesOf(task), `status:${task.status}`].map(
      (name): Write => ['ZREM', keys.index(name), task_id],
    ),
    ['ZREM', keys.retain, logNote(task)],
  ];
}

/** Writes that take what the history names out of the org's feed and out of the workers' lists and logs. */
async function tracesOf(db: Db, task: Task, history: readonly HistoryEntry[]): Promise<Write[]> {
  const keys = orgKeysOf(db.prefix, task.org_id);
  // What is older has left the feed by itself.
  const young = history.filter((one) => Date.parse(one.at) > db.clock.now() - FEED_KEPT);
  const references = await findInFeed(db, task.org_id, task.task_id, young);
  const offers = history.flatMap(offersIn);
  const logs = await Promise.all(
    [...new Set(offers.map((one) => one.worker_id))].map(async (id): Promise<Write[]> => {
      const entries = await findInLog(db, task.org_id, id, task.task_id);
      return entries.length === 0 ? [] : [['XDEL', keys.workerLog(id), ...entries]];
    }),
  );
  return [
    ...logs.flat(),
    ...(references.length === 0 ? [] : [['XDEL', keys.feed, ...references] as const]),
    ...offers.map((offer) => offerWrite(keys, offer, task.task_id)),
  ];
}

interface Made {
  offer_id: string;
  worker_id: string;
}

function offerWrite(keys: OrgKeys, { offer_id, worker_id }: Made, taskId: string): Write {
  return ['ZREM', keys.workerOffers(worker_id), `${offer_id} ${taskId}`];
}

/** The offers an entry tells of. */
function offersIn({ type, data }: HistoryEntry): Made[] {
  if (type !== 'task.offered') return [];
  const all: unknown[] = Array.isArray(data.offers) ? data.offers : [data];
  return all.filter(isMade);
}

function isMade(value: unknown): value is Made {
  return (
    typeof value === 'object' &&
    value !== null &&
    'offer_id' in value &&
    'worker_id' in value &&
    typeof value.offer_id === 'string' &&
    typeof value.worker_id === 'string'
  );
}
