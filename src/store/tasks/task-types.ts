// Stored task types. The record of a type holds its newest version, so a create reads one key; all versions are fields of
// another hash, which is only appended to.

import type { TaskType, TaskTypeVersion } from '../../state/tasks/task-type.ts';
import { readJsonShape, type Shape } from '../../state/text/forms.ts';
import { type Change, merge } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { listMember } from '../redis/lists.ts';
import { loadRecord, loadRecords, recordWrites } from '../redis/records.ts';
import { fetched, required } from '../redis/unreadable.ts';

const VERSION: Shape<TaskTypeVersion> = {
  number: 'number',
  defaults: 'object',
  created_at: 'number',
  created_by: 'string',
};
const TYPE: Shape<TaskType> = {
  ...VERSION,
  name: 'string',
  org_id: 'string',
  version: 'number',
  retired: 'boolean',
  registered_at: 'number',
};

/** Loads a task type, retired or not; null when the name was never registered. @throws UnreadableRecord */
export function loadTaskType(db: Db, orgId: string, name: string): Promise<TaskType | null> {
  return loadRecord(db, orgKeysOf(db.prefix, orgId).taskType(name), TYPE);
}

/** Loads task types in one round trip; null for one that does not exist or cannot be read. */
export function loadTaskTypes(db: Db, orgId: string, names: readonly string[]): Promise<(TaskType | null)[]> {
  return loadRecords(db, names.map(orgKeysOf(db.prefix, orgId).taskType), TYPE);
}

/** Loads versions of a task type by number; null for one that does not exist. @throws UnreadableRecord */
export async function loadVersions(
  db: Db,
  orgId: string,
  name: string,
  numbers: readonly number[],
): Promise<(TaskTypeVersion | null)[]> {
  if (numbers.length === 0) return [];
  const key = orgKeysOf(db.prefix, orgId).taskTypeVersions(name);
  const texts = await fetched(key, db.redis.hmget(key, ...numbers.map(String)));
  return texts.map((text) => (text === null ? null : required(key, readJsonShape(text, VERSION))));
}

/** Guards and writes that register a type (`before` null) or give it its next version. */
export function taskTypeWrites(db: Db, before: TaskType | null, after: TaskType): Change {
  const keys = orgKeysOf(db.prefix, after.org_id);
  const listed = listMember(after.registered_at, after.name);
  const { number, defaults, gold, created_at, created_by } = after;
  const text = JSON.stringify({ number, defaults, gold, created_at, created_by });
  return merge(recordWrites(keys.taskType(after.name), before?.version ?? 0, after), {
    guards: [],
    writes: [
      ...(before === null ? [['ZADD', keys.index('task_types'), 0, listed] as const] : []),
      ...(before?.number === number
        ? []
        : [['HSET', keys.taskTypeVersions(after.name), String(number), text] as const]),
    ],
  });
}
