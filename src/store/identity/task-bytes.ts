// How many bytes of Redis the tasks of a tenant take: the mean of a random sample times their number, because a counter in the
// commits would make every change of a task dearer.

import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { defineScript } from '../redis/scripts.ts';
import { GOLD_INDEX } from '../tasks/filtered.ts';
import { loadTasks } from '../tasks/tasks.ts';

/** Tasks in a sample. */
const SAMPLE = 32;
/** What a task takes besides its own keys, bytes: its members of about eight indexes. */
const INDEXED = 1000;

// KEYS: keys of tasks. Returns the bytes that they take.
const MEASURE = `
local sum = 0
for _, key in ipairs(KEYS) do sum = sum + (redis.call('MEMORY', 'USAGE', key) or 0) end
return sum
`;

const measure = defineScript<number>(MEASURE);

/** Number of the tenant's tasks in Redis, without copies. */
export async function countTasks(db: Db, tenantId: string): Promise<number> {
  const { index } = orgKeysOf(db.prefix, tenantId);
  const counts = await Promise.all(['all', GOLD_INDEX].map((name) => db.redis.zcard(index(name))));
  return counts.reduce((sum, one) => sum + one, 0);
}

/** The mean bytes of a task with its history, deliveries, messages and copies, of a random sample. */
export async function meanTaskBytes(db: Db, tenantId: string): Promise<number> {
  const keys = orgKeysOf(db.prefix, tenantId);
  const sample = await db.redis.zrandmember(keys.index('all'), SAMPLE);
  if (sample.length === 0) return INDEXED;
  const copies = (await loadTasks(db, tenantId, sample)).flatMap((one) => one?.task.copies ?? []);
  const ids = [...sample, ...copies.map((one) => one.task_id)];
  const own = [keys.task, keys.history, keys.deliveries, keys.ordering, keys.messages, keys.evidence];
  const names = ids.flatMap((id) => own.map((nameOf) => nameOf(id)));
  const bytes = await measure(db.redis, names, []);
  return bytes / sample.length + INDEXED;
}
