// The further changes that follow from a change of a task with copies, or of a copy: the task follows its copies, more
// copies are created, and open ones end with the task. All of it is one commit, guarded by the version of each task.
// `store/workers/copy-claims.ts` describes how no worker gets two copies.

import type { CommandContext } from '../../state/tasks/command.ts';
import { commandsAfter, copyInput, openCopies } from '../../state/tasks/copies.ts';
import { apply, create, decide } from '../../state/tasks/decide.ts';
import type { TaskEvent } from '../../state/tasks/event.ts';
import { isAllowed, isFinal } from '../../state/tasks/lifecycle.ts';
import type { Offer } from '../../state/tasks/offer.ts';
import type { Task } from '../../state/tasks/task.ts';
import { type Change, EMPTY_CHANGE, type Guard, merge, type Write } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { loadTask, loadTasks, type StoredTask } from '../tasks/tasks.ts';
import { isIneligible } from '../workers/copy-claims.ts';

/** A decided change of a task, not written yet. */
export interface Decided {
  before: StoredTask | null;
  task: Task;
  events: TaskEvent[];
  /** The change is valid only from this time on, ms. */
  due: number | null;
}

/** The task of a copy; null for other tasks. @throws UnreadableRecord */
export async function originalOf(db: Db, { org_id, copy_of }: Task): Promise<StoredTask | null> {
  return copy_of === undefined ? null : loadTask(db, org_id, copy_of);
}

/** Whether the task of this copy has ended, so that the copy has no purpose. */
export function isSuperfluous({ copy_of }: Task, original: StoredTask | null): boolean {
  return copy_of !== undefined && (original === null || isFinal(original.task.status));
}

/** The changes of other tasks that belong to a change. @param original of a copy, as loaded. @throws UnreadableRecord */
export async function relatedChanges(
  db: Db,
  decided: Decided,
  original: StoredTask | null,
  context: CommandContext,
): Promise<Decided[]> {
  if (decided.task.copies !== undefined) return changesOfCopies(db, decided, context, null);
  if (original === null) return [];
  const commands = commandsAfter(original.task, decided.task, context);
  if (commands.length === 0) return [];
  const decision = decide(original.task, commands, context);
  if (!decision.ok) throw new Error(`task ${original.task.task_id}: ${decision.refusal.message}`);
  const followed = { ...decision, before: original };
  return [followed, ...(await changesOfCopies(db, followed, context, decided.task.task_id))];
}

/** The ids of the copies that exist: the first are created when the task is queued. */
function copiesMade({ status, copies = [] }: Task): string[] {
  return status === 'created' ? [] : copies.map((one) => one.task_id);
}

/** The new copies of a changed task, and the end of the open ones when it has ended. @param except a copy that changes itself */
async function changesOfCopies(
  db: Db,
  { before, task }: Decided,
  context: CommandContext,
  except: string | null,
): Promise<Decided[]> {
  const had = new Set(before === null ? [] : copiesMade(before.task));
  const fresh = isFinal(task.status) ? [] : copiesMade(task).filter((id) => !had.has(id));
  const made = fresh.map((task_id): Decided => {
    const ids = { task_id, org_id: task.org_id };
    const created = create(copyInput(task.input), ids, context, { copy_of: task.task_id });
    const decision = apply(created, [{ name: 'queue' }]);
    if (!decision.ok) throw new Error(`copy ${task_id}: ${decision.refusal.message}`);
    return { ...decision, before: null };
  });
  if (!isFinal(task.status)) return made;
  const ids = openCopies(task).filter((id) => id !== except);
  const open = ids.length === 0 ? [] : await loadTasks(db, task.org_id, ids);
  // A copy that is being verified ends by itself.
  const cancelled = open.flatMap((stored): Decided[] => {
    if (stored === null || !isAllowed('cancel', stored.task.status)) return [];
    const decision = decide(stored.task, [{ name: 'cancel', reason: null }], context);
    return decision.ok ? [{ ...decision, before: stored }] : [];
  });
  return [...made, ...cancelled];
}

/**
 * Guards and writes of the claims that these changes make and give up.
 * @returns null when a worker may not have a copy that is offered to them.
 */
export async function claimChange(db: Db, changes: readonly Decided[]): Promise<Change | null> {
  for (const { task } of changes)
    if (task.copies !== undefined && isFinal(task.status)) {
      const key = orgKeysOf(db.prefix, task.org_id).claims(task.task_id);
      // The open copies end with the task, and their claims with them.
      return { guards: [], writes: [['DEL', key]] };
    }
  const parts: Change[] = [];
  for (const { before, task } of changes) {
    if (task.copy_of === undefined) continue;
    const part = await claimsOfCopy(db, task.copy_of, before, task);
    if (part === null) return null;
    parts.push(part);
  }
  return parts.length === 0 ? EMPTY_CHANGE : merge(...parts);
}

async function claimsOfCopy(
  db: Db,
  original: string,
  before: StoredTask | null,
  task: Task,
): Promise<Change | null> {
  const was = new Map((before?.task.offers ?? []).map((one) => [one.offer_id, one.status]));
  const moved = task.offers.filter((one) => was.get(one.offer_id) !== one.status);
  if (moved.length === 0) return EMPTY_CHANGE;
  const key = orgKeysOf(db.prefix, task.org_id).claims(original);
  const found = await db.redis.hmget(key, ...moved.map((one) => one.worker_id));
  const guards: Guard[] = [];
  const writes: Write[] = [];
  for (const [index, offer] of moved.entries()) {
    const value = found[index] ?? null;
    const claim = nextClaim(value, offer, task);
    if (claim === 'taken') return null;
    guards.push({ kind: 'field', key, field: offer.worker_id, value });
    if (claim === null && value !== null) writes.push(['HDEL', key, offer.worker_id]);
    if (claim !== null && claim !== value) writes.push(['HSET', key, offer.worker_id, claim]);
  }
  return { guards, writes };
}

/** The claim of a worker after a change of an offer to them; `taken` when they may not have this copy. */
function nextClaim(value: string | null, { status, worker_id }: Offer, task: Task): string | null {
  const [offerClaim, acceptedClaim] = [`offer ${task.task_id}`, `held ${task.task_id}`];
  switch (status) {
    case 'pending':
      if (value === acceptedClaim) return acceptedClaim;
      return isIneligible(value, task.task_id, task.updated_at) ? 'taken' : offerClaim;
    case 'accepted':
      return value === offerClaim || value === acceptedClaim ? acceptedClaim : 'taken';
    case 'declined':
    case 'expired': {
      const until = task.declines.find((one) => one.worker_id === worker_id)?.until ?? task.updated_at;
      return value === offerClaim ? `until ${until}` : value;
    }
    case 'revoked':
    case 'withdrawn':
      return value === offerClaim ? null : value;
  }
}
