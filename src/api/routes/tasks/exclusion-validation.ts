// The workers and tasks that requirements name exist, and the key may see them.

import { isGold } from '../../../state/tasks/gold.ts';
import { poolOf } from '../../../state/tasks/task.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { orgKeysOf } from '../../../store/redis/keys.ts';
import { inEach } from '../../../store/redis/lists.ts';
import { loadTask } from '../../../store/tasks/tasks.ts';
import { loadWorker } from '../../../store/workers/workers.ts';
import { maySeeWorker } from '../../access/pool-visibility.ts';
import { type KeyPrincipal, maySeePool } from '../../access/principal.ts';
import type { FieldError } from '../../http/problem.ts';
import { at } from '../../http/validation.ts';
import { MAX_EXCLUDED_TASKS } from './task-requirements.schema.ts';

/** The errors of the ids in a body, which may be invalid. Those of workers who are excluded need not exist. */
export async function namedErrors(db: Db, principal: KeyPrincipal, body: unknown): Promise<FieldError[]> {
  const [workers, tasks] = [idsIn(body, 'worker_ids'), idsIn(body, 'excluded_tasks')];
  if (workers.length + tasks.length === 0) return [];
  const known = await Promise.all(workers.map((id) => isVisibleWorker(db, principal, id)));
  const found = new Set(await visibleTasks(db, principal, tasks));
  return [
    ...workers.flatMap((_, index) =>
      known[index]
        ? []
        : [{ pointer: `/requirements/worker_ids/${index}`, message: 'is not a worker of this org' }],
    ),
    ...tasks.flatMap((id, index) =>
      found.has(id)
        ? []
        : [{ pointer: `/requirements/excluded_tasks/${index}`, message: 'is not a task of this org' }],
    ),
  ];
}

function idsIn(body: unknown, name: string): string[] {
  const ids = at(body, 'requirements', name);
  return Array.isArray(ids) ? ids.filter((id) => typeof id === 'string') : [];
}

async function isVisibleWorker(db: Db, principal: KeyPrincipal, id: string): Promise<boolean> {
  // A record is read only if its pools matter.
  if (principal.pools.includes('*'))
    return (await db.redis.exists(orgKeysOf(db.prefix, principal.org_id).worker(id))) === 1;
  const worker = await loadWorker(db, principal.org_id, id);
  return worker !== null && maySeeWorker(principal, worker);
}

/** Those of the tasks that the key may see. Copies are in no index. */
async function visibleTasks(db: Db, { org_id, pools }: KeyPrincipal, ids: string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const { index } = orgKeysOf(db.prefix, org_id);
  const indexes = pools.includes('*') ? [index('all')] : pools.map((pool) => index(`pool:${pool}`));
  const found = await inEach(db, [indexes], ids);
  // Archived tasks are in none of these indexes.
  const others = await Promise.all(
    ids
      .filter((id) => !found.includes(id))
      .slice(0, MAX_EXCLUDED_TASKS)
      .map((id) => loadTask(db, org_id, id)),
  );
  const archived = others.flatMap((one) =>
    one?.isArchived &&
    one.task.copy_of === undefined &&
    !isGold(one.task) &&
    maySeePool({ pools }, poolOf(one.task))
      ? [one.task.task_id]
      : [],
  );
  return [...found, ...archived];
}
