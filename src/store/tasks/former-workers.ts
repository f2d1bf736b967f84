// The workers who were ever assigned a task, for other tasks that exclude them. They are a separate field of the task's
// record, also of a final task: the field is cheap to read, and a guard of it fails only when these workers change.

import type { Task } from '../../state/tasks/task.ts';
import type { Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';

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
  const keys = excluded_tasks.map(orgKeysOf(db.prefix, org_id).task);
  const records = await Promise.all(keys.map((key) => db.redis.hmget(key, 'v', FIELD)));
  const ids = new Set(records.flatMap(([, workers]) => workers?.split(' ') ?? []));
  const isUnknown = records.some(([version]) => version === null);
  return {
    ids: [...ids],
    isUnknown,
    has: (id) => isUnknown || ids.has(id),
    guards: keys.map((key, at) => ({ kind: 'field', key, field: FIELD, value: records[at]?.[1] ?? null })),
  };
}

/** The field of a task's record, as name and value; empty when it is as it was. @param was null: it is written anew. */
export function formerWorkersField(was: Task | null, { assigned_workers = [] }: Task): string[] {
  const isSame = assigned_workers.length === (was?.assigned_workers ?? []).length;
  return isSame ? [] : [FIELD, assigned_workers.join(' ')];
}
