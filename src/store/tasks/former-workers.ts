// The workers who were ever assigned a task, for other tasks that exclude them. They are a separate field of the task's
// record, also of a final task: the field is cheap to read, and a guard of it fails only when these workers change. Of an
// archived task they are in its entry of the index.

import type { Task } from '../../state/tasks/task.ts';
import { ARCHIVED, type ArchivedEntry } from '../redis/archive.ts';
import type { Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { archivedEntry } from './archived.ts';

const FIELD = 'w';

export interface FormerWorkers {
  ids: readonly string[];
  /** One of the tasks no longer exists, so it may have been any worker. */
  isUnknown: boolean;
  /** Whether the worker was, or may have been, assigned one of the tasks. */
  has(workerId: string): boolean;
  /** Guards that hold until another worker is assigned one of the tasks. */
  guards: readonly Guard[];
}

const NOBODY: FormerWorkers = { ids: [], isUnknown: false, has: () => false, guards: [] };

/** The workers who were assigned a task that this one excludes; when it excludes none, without a call to Redis. */
export async function formerWorkersOf(db: Db, { org_id, input }: Task): Promise<FormerWorkers> {
  const { excluded_tasks = [] } = input.requirements ?? {};
  if (excluded_tasks.length === 0) return NOBODY;
  const found = await Promise.all(excluded_tasks.map((id) => workersOf(db, org_id, id)));
  const ids = new Set(found.flatMap((one) => one.ids));
  const isUnknown = found.some((one) => one.isUnknown);
  return {
    ids: [...ids],
    isUnknown,
    has: (id) => isUnknown || ids.has(id),
    guards: found.flatMap((one) => one.guards),
  };
}

async function workersOf(db: Db, orgId: string, taskId: string): Promise<Omit<FormerWorkers, 'has'>> {
  const keys = orgKeysOf(db.prefix, orgId);
  const key = keys.task(taskId);
  const [version, workers = null] = await db.redis.hmget(key, 'v', FIELD);
  const unchanged: Guard = { kind: 'field', key, field: FIELD, value: workers };
  if (version !== null) return { ids: workers?.split(' ') ?? [], isUnknown: false, guards: [unchanged] };
  const archived: ArchivedEntry | null = await archivedEntry(db, orgId, taskId);
  if (archived === null) return { ids: [], isUnknown: true, guards: [unchanged] };
  const stillArchived: Guard = {
    kind: 'score',
    key: keys.index(ARCHIVED),
    member: archived.member,
    score: 0,
  };
  return { ids: archived.workers, isUnknown: false, guards: [unchanged, stillArchived] };
}

/** The field of a task's record, as name and value; empty when it is as it was. @param was null: it is written anew. */
export function formerWorkersField(was: Task | null, { assigned_workers = [] }: Task): string[] {
  const isSame = assigned_workers.length === (was?.assigned_workers ?? []).length;
  return isSame ? [] : [FIELD, assigned_workers.join(' ')];
}
