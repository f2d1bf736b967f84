// A hash of each task with copies, its claims, says which worker has which copy, so that no worker gets two. Worker id →
// one of:
//
// - `offer <copy>`: the copy is offered to them. · `held <copy>`: they accepted it, whatever happened afterwards.
// - `until <ms>`: they declined a copy or let an offer expire, and get no offer of a copy before that time.

import type { Task } from '../../state/tasks/task.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

const NONE: ReadonlySet<string> = new Set();

/** Whether a claim keeps its worker from this copy at `now`. */
export function isIneligible(value: string | null, copyId: string, now: number): boolean {
  const [kind, what] = value?.split(' ') ?? [];
  if (kind === undefined) return false;
  return kind === 'until' ? Number(what) > now : what !== copyId;
}

/** The workers who may not have this copy now; for a task that is no copy, none, without a call to Redis. */
export async function ineligibleWorkers(db: Db, task: Task): Promise<ReadonlySet<string>> {
  if (task.copy_of === undefined) return NONE;
  const claims = await db.redis.hgetall(orgKeysOf(db.prefix, task.org_id).claims(task.copy_of));
  const now = db.clock.now();
  return new Set(
    Object.entries(claims).flatMap(([id, value]) => (isIneligible(value, task.task_id, now) ? [id] : [])),
  );
}
