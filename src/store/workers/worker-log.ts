// What happened to a worker's offers and tasks, in order: a short stream for each worker, so that a client that
// was away for a moment is told what it missed. It holds references; what they lead to is looked up as it is now.

import type { OfferStatus, Task } from '../../state/tasks/task.ts';
import type { Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

/** How many entries a worker's log keeps at least. */
const KEPT = 100;

export interface LogEntry {
  id: string;
  task_id: string;
  /** Offers of the task to this worker that began or ended. */
  offers: { offer_id: string; status: OfferStatus }[];
  /** Whether the task is, or was until then, in their hands. */
  work: boolean;
}

/** Writes that log a change of a task for every worker whom it concerns, with the ids of those. */
export function logWrites(db: Db, before: Task | null, after: Task): { writes: Write[]; told: string[] } {
  if (before === null) return { writes: [], told: [] };
  const fields = new Map<string, string[]>();
  const add = (id: string, ...more: string[]) => fields.set(id, [...(fields.get(id) ?? []), ...more]);
  const was = new Map(before.offers.map((offer) => [offer.offer_id, offer.status]));
  for (const { offer_id, worker_id, status } of after.offers)
    if (was.get(offer_id) !== status) add(worker_id, 'o', `${offer_id} ${status}`);
  for (const id of new Set([before.assignment?.worker_id, after.assignment?.worker_id]))
    if (id !== undefined) add(id, 'w', '');
  const keys = orgKeysOf(db.prefix, after.org_id);
  const writes = [...fields].map(([id, about]): Write => {
    // Only an offer begins a log: it is sure that its worker is there.
    const begins = after.offers.some((one) => one.worker_id === id && one.status === 'pending');
    const rest = ['MAXLEN', '~', KEPT, '*', 't', after.task_id, ...about];
    return ['XADD', keys.workerLog(id), ...(begins ? [] : ['NOMKSTREAM']), ...rest];
  });
  return { writes, told: [...fields.keys()] };
}

/** The id of the last entry; `0-0` when there is none. */
export async function lastLogged(db: Db, orgId: string, workerId: string): Promise<string> {
  const key = orgKeysOf(db.prefix, orgId).workerLog(workerId);
  const [last] = await db.redis.xrevrange(key, '+', '-', 'COUNT', 1);
  return last?.[0] ?? '0-0';
}

/** The entries behind `after`, oldest first; null when some of them are not kept any more. */
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

/** Ids of the entries of a worker's log that are about the task. */
export async function findInLog(db: Db, orgId: string, workerId: string, taskId: string): Promise<string[]> {
  const entries = await db.redis.xrange(orgKeysOf(db.prefix, orgId).workerLog(workerId), '-', '+');
  return entries.flatMap(([id, fields]) => (parse(id, fields).task_id === taskId ? [id] : []));
}

function parse(id: string, fields: string[]): LogEntry {
  const entry: LogEntry = { id, task_id: '', offers: [], work: false };
  for (let at = 0; at < fields.length; at += 2) {
    const value = fields[at + 1] ?? '';
    if (fields[at] === 't') entry.task_id = value;
    else if (fields[at] === 'w') entry.work = true;
    else {
      const [offer_id = '', status] = value.split(' ');
      entry.offers.push({ offer_id, status: status as OfferStatus });
    }
  }
  return entry;
}
