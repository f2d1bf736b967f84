// Replaces the stored input of a task when its secret is sealed again with another key.

import type { TaskInput } from '../../state/tasks/task.ts';
import { readForm } from '../../state/text/forms.ts';
import { commit, type Guard, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { fetched, required } from '../redis/unreadable.ts';
import { packedFields, readInput, readPacked, TASK_FORM } from './task-record.ts';

/**
 * Replaces the input of a task by one in which only the sealing of a secret differs. It adds no event and keeps the
 * version.
 * @param change returns the same object when there is nothing to do.
 * @returns whether the input was replaced. @throws UnreadableRecord
 */
export async function replaceInput(
  db: Db,
  orgId: string,
  taskId: string,
  change: (input: TaskInput) => TaskInput,
): Promise<boolean> {
  const key = orgKeysOf(db.prefix, orgId).task(taskId);
  const ids = { org_id: orgId, task_id: taskId };
  return updateWithRetry('task', async () => {
    const [version, plain, packed, form] = await fetched(key, db.redis.hmgetBuffer(key, 'v', 'i', 'z', 'f'));
    const unknown = readForm(form, TASK_FORM);
    if (unknown !== null) return required(key, unknown);
    if (!version || (!plain && !packed)) return false;
    const guards: Guard[] = [{ kind: 'version', key, version: Number(version.toString()) }];
    let write: Write | null = null;
    if (packed) {
      // The purge of a history replaces it without a new version.
      guards.push({ kind: 'field', key, field: 'z', value: packed });
      const [input, state, history, head] = required(key, readPacked(orgId, packed));
      const after = change(input);
      if (after !== input) write = ['HSET', key, ...packedFields(ids, [after, state, history, head])];
    } else if (plain) {
      const input = required(key, readInput(plain.toString()));
      const after = change(input);
      if (after !== input) write = ['HSET', key, 'i', JSON.stringify(after)];
    }
    if (write === null) return false;
    if (await commit(db.redis, { guards, writes: [write] })) return true;
    return CONFLICT;
  });
}
