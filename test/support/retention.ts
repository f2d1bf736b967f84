// Purges as processes of earlier versions recorded them.
import type { Task } from '../../src/state/tasks/task.ts';
import type { Db } from '../../src/store/redis/connection.ts';
import { retentionEntries } from '../../src/store/tasks/retention-index.ts';

/** Records the purges of a finished task as an earlier version did. @returns their members, that of the task first */
export async function recordAsBefore(db: Db, { org_id, task_id }: Task): Promise<string[]> {
  const members: string[] = [];
  for (const log of [false, true]) {
    const [now, before] = retentionEntries(db, { org_id, task_id, log });
    const score = await db.redis.zscore(now.key, now.member);
    if (score === null || before === undefined) continue;
    await db.redis.zadd(before.key, score, before.member);
    await db.redis.zrem(now.key, now.member);
    members.push(String(before.member));
  }
  return members;
}
