// Drafts in Redis: one hash for each task, which holds the draft of the worker who saved last. Saving takes two round trips
// and leaves the task as it is. The commit that ends the draft removes the hash (see `endsDraft`).

import { type DraftContent, endsDraft } from '../../state/tasks/draft.ts';
import type { TaskEvent } from '../../state/tasks/event.ts';
import { isOfWorker } from '../../state/tasks/offer.ts';
import type { Task } from '../../state/tasks/task.ts';
import { readJsonShape } from '../../state/text/forms.ts';
import { commit, type Guard, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { fetched, required } from '../redis/unreadable.ts';
import { loadTask } from './tasks.ts';

interface Author {
  worker_id: string;
  incarnation: string;
}

export interface Draft {
  /** Number of the last save or removal; 0 when the worker has saved nothing. */
  version: number;
  /** When it was saved, ms; null when there is no content. */
  saved_at: number | null;
  content: DraftContent;
}

interface StoredDraft {
  /** The version of the record, whose draft it may be; 0: there is no record. */
  version: number;
  own: Draft;
}

/**
 * Loads the worker's draft of a task. The draft of another worker counts as none.
 * @throws UnreadableRecord
 */
export async function loadDraft(
  db: Db,
  orgId: string,
  taskId: string,
  { worker_id, incarnation }: Author,
): Promise<StoredDraft> {
  const key = orgKeysOf(db.prefix, orgId).draft(taskId);
  const [v, w, i, at, text] = await fetched(key, db.redis.hmget(key, 'v', 'w', 'i', 't', 'd'));
  const version = Number(v ?? 0);
  const isOwn = isOfWorker({ worker_id: w ?? '', incarnation: i ?? '' }, { worker_id, incarnation });
  if (!isOwn) return { version, own: { version: 0, saved_at: null, content: {} } };
  if (at == null || text == null) return { version, own: { version, saved_at: null, content: {} } };
  const content = required(key, readJsonShape<DraftContent>(text, {}));
  return { version, own: { version, saved_at: Number(at), content } };
}

/**
 * Saves the worker's draft, or removes its content (`content` null); the version grows in either case.
 * @param admit called with the task and the draft so far, for each attempt; throws to refuse.
 * @param callerGuards guards of the caller's authorization, for each attempt.
 * @returns when it was saved and by which save; null when there is no such task.
 */
export async function saveDraft(
  db: Db,
  orgId: string,
  taskId: string,
  author: Author,
  content: DraftContent | null,
  admit: (task: Task, own: Draft) => void,
  callerGuards: (isRetry: boolean) => readonly Guard[] | Promise<readonly Guard[]>,
): Promise<{ version: number; saved_at: number } | null> {
  const keys = orgKeysOf(db.prefix, orgId);
  const key = keys.draft(taskId);
  const text = content === null ? null : JSON.stringify(content);
  return updateWithRetry('draft', async (isRetry) => {
    const [stored, draft] = await Promise.all([
      loadTask(db, orgId, taskId),
      loadDraft(db, orgId, taskId, author),
    ]);
    if (stored === null) return null;
    admit(stored.task, draft.own);
    const saved = { version: draft.version + 1, saved_at: db.clock.now() };
    const named = ['v', saved.version, 'w', author.worker_id, 'i', author.incarnation] as const;
    const writes: Write[] =
      text === null
        ? [
            ['HSET', key, ...named],
            ['HDEL', key, 't', 'd'],
          ]
        : [['HSET', key, ...named, 't', saved.saved_at, 'd', text]];
    const guards: Guard[] = [
      ...(await callerGuards(isRetry)),
      { kind: 'version', key: keys.task(taskId), version: stored.task.version },
      { kind: 'version', key, version: draft.version },
    ];
    return (await commit(db.redis, { guards, writes })) ? saved : CONFLICT;
  });
}

/** The write that removes the draft in the commit of a change that ends it. */
export function draftWrites(db: Db, before: Task | null, after: Task, events: readonly TaskEvent[]): Write[] {
  if (before === null || !endsDraft(before, after, events)) return [];
  return [['DEL', orgKeysOf(db.prefix, after.org_id).draft(after.task_id)]];
}
