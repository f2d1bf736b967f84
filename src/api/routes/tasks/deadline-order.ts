// Tasks in the order of their deadlines. No index has this order, because it would cost every create a write. So the tasks
// that match the filters are loaded and sorted, which limits their number.

import type { Task } from '../../../state/tasks/task.ts';
import { dueAt } from '../../../state/tasks/task.ts';
import type { Db } from '../../../store/redis/connection.ts';
import { inEach, MAX_CHUNK, type Range, scan } from '../../../store/redis/lists.ts';
import { loadTasks } from '../../../store/tasks/tasks.ts';
import { invalidQuery } from '../../http/problem.ts';

/** Most tasks that can be sorted, and most in the scanned index that are looked at to find them. */
const MAX_SORTED = 2000;
export const MAX_LOOKED_AT = 20_000;

/** A member of this order: the deadline, then the id. */
export const DEADLINE_MEMBER = /^\d{15} \S+$/;

function memberOf(task: Task): string | null {
  const deadline = dueAt(task, 'deadline');
  return deadline === null ? null : `${String(deadline).padStart(15, '0')} ${task.task_id}`;
}

/**
 * A page of tasks by deadline; tasks without one are left out.
 * @param indexes the index keys to scan, then the families of which a task must be in each.
 * @returns the tasks, and the member after which the next page starts; null at the end.
 * @throws ApiError 400 when there are more tasks than can be sorted or looked at
 */
export async function pageByDeadline(
  db: Db,
  orgId: string,
  indexes: readonly [scanned: readonly string[], ...others: (readonly string[])[]],
  range: Range,
  limit: number,
  matches: (task: Task) => boolean,
): Promise<{ items: Task[]; next: string | null }> {
  const [scanned, ...others] = indexes;
  const load = async (ids: string[]): Promise<Task[]> =>
    (await loadTasks(db, orgId, ids)).flatMap((stored) =>
      stored !== null && matches(stored.task) ? [stored.task] : [],
    );
  const members: string[] = [];
  const ascending = { ...range, order: 'asc', after: null } as const;
  let [lookedAt, found] = [0, 0];
  for await (const chunk of scan(db, scanned, ascending, { maxChunk: MAX_CHUNK })) {
    const ids = await inEach(db, others, chunk);
    lookedAt += chunk.length;
    found += ids.length;
    if (found > MAX_SORTED || lookedAt > MAX_LOOKED_AT)
      throw invalidQuery(
        'order_by',
        `must be created_at when more than ${MAX_SORTED} tasks match, or more than ${MAX_LOOKED_AT} meet each filter; or add filters`,
      );
    for (const task of await load(ids)) {
      const member = memberOf(task);
      if (member !== null) members.push(member);
    }
  }
  members.sort();
  if (range.order === 'desc') members.reverse();
  const { after } = range;
  const rest = members.filter(
    (member) => after === null || (range.order === 'asc' ? member > after : member < after),
  );
  const shown = rest.slice(0, limit);
  const tasks = new Map((await load(shown.map(idOf))).map((task) => [task.task_id, task]));
  return {
    items: shown.flatMap((member) => tasks.get(idOf(member)) ?? []),
    next: rest.length > limit ? (shown.at(-1) ?? null) : null,
  };
}

function idOf(member: string): string {
  return member.slice(16);
}
