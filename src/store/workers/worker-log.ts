// The worker log: a short stream for each worker of what happened to their offers and tasks, so that a client that was
// disconnected for a moment learns what it missed. Entries are references; the current records are read when needed.

import { isOfferStatus, type OfferStatus } from '../../state/tasks/offer.ts';
import { poolOf, type Task } from '../../state/tasks/task.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

/** Minimum number of entries that a log keeps. */
const KEPT = 100;

export interface LogEntry {
  id: string;
  task_id: string;
  /** Offers of the task to this worker that were made or ended. */
  offers: { offer_id: string; status: OfferStatus }[];
  /** Whether the task is assigned to this worker, or was until this change. */
  assigned: boolean;
  /** The pool in which the worker had the task before this change, null for none; absent: the one that it requires now. */
  pool?: string | null;
}

/** Writes that log a change of a task for every worker it concerns, and the ids of these workers. */
export function logWrites(db: Db, before: Task, after: Task): { writes: Write[]; workerIds: string[] } {
  const fields = new Map<string, string[]>();
  const add = (id: string, ...more: string[]) => fields.set(id, [...(fields.get(id) ?? []), ...more]);
  const was = new Map(before.offers.map((offer) => [offer.offer_id, offer.status]));
  for (const { offer_id, worker_id, status } of after.offers)
    if (was.get(offer_id) !== status) add(worker_id, 'offer', `${offer_id} ${status}`);
  for (const id of new Set([before.assignment?.worker_id, after.assignment?.worker_id]))
    if (id !== undefined) add(id, 'assigned', '');
  const keys = orgKeysOf(db.prefix, after.org_id);
  const writes = [...fields].map(([id, about]): Write => {
    // Only a new offer or assignment may create the stream: its commit checks that the worker exists.
    const { assignment } = after;
    const isAssigned = assignment?.worker_id === id && assignment.offer_id !== before.assignment?.offer_id;
    const mayCreate =
      isAssigned || after.offers.some((one) => one.worker_id === id && one.status === 'pending');
    const pool = before.assignment?.pool_id ?? poolOf(before);
    const moved = pool === poolOf(after) ? [] : ['pool', pool ?? ''];
    const rest = ['MAXLEN', '~', KEPT, '*', 'task', after.task_id, ...moved, ...about];
    return ['XADD', keys.workerLog(id), ...(mayCreate ? [] : ['NOMKSTREAM']), ...rest];
  });
  return { writes, workerIds: [...fields.keys()] };
}

/** Id of the last entry; `0-0` when there is none. */
export async function lastLogged(db: Db, orgId: string, workerId: string): Promise<string> {
  const key = orgKeysOf(db.prefix, orgId).workerLog(workerId);
  const [last] = await db.redis.xrevrange(key, '+', '-', 'COUNT', 1);
  return last?.[0] ?? '0-0';
}

/** The entries after the id `after`, oldest first; null when some of them have been removed. */
export async function readLog(
  db: Db,
  orgId: string,
  workerId: string,
  after: string,
): Promise<LogEntry[] | null> {
  const key = orgKeysOf(db.prefix, orgId).workerLog(workerId);
  const found = await db.redis.xrange(key, after, '+');
  const isThere = found[0]?.[0] === after;
  if (!isThere && (after !== '0-0' || found.length > KEPT)) return null;
  return found.slice(isThere ? 1 : 0).map(([id, fields]) => parse(id, fields));
}

/** Ids of the entries about the task. */
export async function findInLog(db: Db, orgId: string, workerId: string, taskId: string): Promise<string[]> {
  const entries = await db.redis.xrange(orgKeysOf(db.prefix, orgId).workerLog(workerId), '-', '+');
  return entries.flatMap(([id, fields]) => (parse(id, fields).task_id === taskId ? [id] : []));
}

function parse(id: string, fields: string[]): LogEntry {
  const entry: LogEntry = { id, task_id: '', offers: [], assigned: false };
  for (let at = 0; at < fields.length; at += 2) {
    const value = fields[at + 1] ?? '';
    if (fields[at] === 'task') entry.task_id = value;
    else if (fields[at] === 'pool') entry.pool = value === '' ? null : value;
    else if (fields[at] === 'assigned') entry.assigned = true;
    else {
      const [offer_id = '', status = ''] = value.split(' ');
      if (isOfferStatus(status)) entry.offers.push({ offer_id, status });
    }
  }
  return entry;
}
