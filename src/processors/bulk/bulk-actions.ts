// Runs a bulk action step by step, until it has dealt with all its tasks or is stopped.
//
// 1. A step finds the next tasks behind the cursor. Each is changed in a commit of its own, which also counts it and moves
//    the cursor past it, guarded by the version of the bulk action. So a task is changed once, even if the job is killed,
//    repeated or duplicated, and none is changed after a cancellation.
// 2. Each commit is also guarded by the credential that created the bulk action, as the request for one task would be.
// 3. Then it rests: all bulk actions of an org together keep to a rate. The job goes to the end of its queue, so orgs take
//    turns.
//
// A task that refuses the change or cannot be read is counted and listed; the others go on.

import type { Job } from 'bullmq';
import type { BulkActionJob } from '../../queues/catalogue.ts';
import { putOffJob } from '../../queues/redis-time.ts';
import { inBoth } from '../../state/access/permission.ts';
import {
  ACTION_SCOPES,
  type BulkAction,
  type BulkFailure,
  type BulkOutcome,
  type BulkReason,
  counted,
  MAX_FAILURES,
  restAfterStep,
} from '../../state/bulk/bulk-action.ts';
import { endedRun, hasEnded, REST_WHILE_SUSPENDED } from '../../state/runs/run.ts';
import type { Task } from '../../state/tasks/task.ts';
import { elided } from '../../state/text/text.ts';
import {
  type BulkOrder,
  bulkActionsRunning,
  endWrites,
  loadBulkAction,
  loadFailures,
  loadOrder,
  progressWrites,
  stepWrites,
} from '../../store/bulk/bulk-actions.ts';
import { type NextTask, nextTasks, planFor } from '../../store/bulk/bulk-step.ts';
import { changeTask } from '../../store/commands/change.ts';
import { problemOf, type TaskProblem } from '../../store/commands/refusals.ts';
import { permittedBy } from '../../store/identity/authority.ts';
import { isSuspended, notSuspended } from '../../store/identity/suspension.ts';
import { commit, type Guard } from '../../store/redis/commit.ts';
import type { Db } from '../../store/redis/connection.ts';
import { ContendedError } from '../../store/redis/contention.ts';
import { orgKeysOf } from '../../store/redis/keys.ts';
import { concernsOneItem, reportFailed, UnreadableRecord } from '../../store/redis/unreadable.ts';

/** Delay before a step is repeated, ms, after a cancellation, another process or a change of the credential came first. */
const RETRY_AFTER_MS = 50;
/** Longest detail of a failure, in UTF-16 units. */
const MAX_DETAIL_LENGTH = 300;

/** Runs the job of a bulk action: one step, then a delay until the next. */
export async function runBulkActionJob(
  db: Db,
  { org_id, bulk_action_id }: BulkActionJob,
  job: Pick<Job, 'moveToDelayed'>,
  token: string | undefined,
): Promise<void> {
  const rest = await stepBulkAction(db, org_id, bulk_action_id);
  if (rest !== null) await putOffJob(job, rest, token);
}

/** Makes one step. @returns the delay until the next step, ms; null when the bulk action has ended. */
export async function stepBulkAction(db: Db, orgId: string, id: string): Promise<number | null> {
  const bulk = await loadBulkAction(db, orgId, id);
  if (bulk === null || hasEnded(bulk)) {
    // A member without a running bulk action is left behind by a partly restored Redis.
    await db.redis.zrem(orgKeysOf(db.prefix, orgId).bulkActions, `${orgId} ${id}`);
    return null;
  }
  if (await isSuspended(db, orgId)) return REST_WHILE_SUSPENDED;
  const order = await loadOrder(db, bulk);
  const allowed = await allowedBy(db, bulk, order);
  if ('lost' in allowed) {
    const after = endedRun(bulk, 'failed', allowed.lost, db.clock.now());
    return (await commit(db.redis, endWrites(db, bulk, after))) ? null : RETRY_AFTER_MS;
  }
  const { tasks, next } = await nextTasks(db, bulk, order.selection, allowed.pools);
  const step = new Step(db, bulk, order, allowed, await loadFailures(db, bulk));
  try {
    for (const task of tasks) await step.take(task);
  } catch (error) {
    if (error instanceof Overtaken) return RETRY_AFTER_MS;
    throw error;
  }
  return step.finish(tasks.length, next);
}

interface Allowed {
  pools: readonly string[];
  guards: readonly Guard[];
}

/** What the credential of the bulk action still permits, or why it must stop. */
async function allowedBy(
  db: Db,
  { org_id, action, pools }: BulkAction,
  { authority }: BulkOrder,
): Promise<Allowed | { lost: BulkReason }> {
  const permitted = await permittedBy(db, org_id, authority);
  if ('lost' in permitted) return permitted;
  const { permission, guards } = permitted;
  const left = inBoth(pools, permission.pools);
  const hasScope = permission.scopes.includes('*') || permission.scopes.includes(ACTION_SCOPES[action]);
  if (!hasScope || left.length === 0) return { lost: 'permission_reduced' };
  return { pools: left, guards: [...guards, notSuspended(db, org_id)] };
}

/** The bulk action or its credential has changed since the step began, or the org was suspended. */
class Overtaken extends Error {
  override readonly name = 'Overtaken';
}

/** One step: the bulk action as stored, and as it is after the tasks that were dealt with since. */
class Step {
  readonly #db: Db;
  readonly #order: BulkOrder;
  readonly #allowed: Allowed;
  #stored: BulkAction;
  #now: BulkAction;
  #failures: readonly BulkFailure[];
  #hasNewFailures = false;

  constructor(
    db: Db,
    bulk: BulkAction,
    order: BulkOrder,
    allowed: Allowed,
    failures: readonly BulkFailure[],
  ) {
    this.#db = db;
    this.#order = order;
    this.#allowed = allowed;
    this.#stored = bulk;
    this.#now = bulk;
    this.#failures = failures;
  }

  /** Changes a task, or counts why not. @throws Overtaken; any error that concerns all tasks, such as an outage */
  async take({ task_id, stored }: NextTask): Promise<void> {
    const { org_id, created_by: actor } = this.#now;
    let outcome: 'skip' | TaskProblem | null = null;
    const plan = async (task: Task) => {
      const planned = await this.#plan(task);
      if (planned === 'skip') outcome = planned;
      else if ('problem' in planned) outcome = planned.problem;
      else {
        outcome = null;
        return planned;
      }
      return null;
    };
    const committed: { after: BulkAction | null } = { after: null };
    try {
      const changed = await changeTask(this.#db, org_id, task_id, plan, {
        actor,
        callerGuards: (isRetry) => this.#callerGuards(isRetry),
        loaded: stored ?? undefined,
        extraWrites: () => {
          const after = this.#counted(task_id, 'done');
          committed.after = after;
          return progressWrites(this.#db, this.#stored, after, this.#newFailures());
        },
      });
      if (!changed.ok) this.#note(task_id, outcome ?? problemOf(changed));
      else if (committed.after !== null) this.#saved(committed.after);
    } catch (error) {
      if (error instanceof Overtaken || !concernsOneItem(error)) throw error;
      reportFailed(this.#db, orgKeysOf(this.#db.prefix, org_id).task(task_id), error);
      this.#note(task_id, unexpected(error));
    }
  }

  /** Commits the end of the step. @param next as of `nextTasks`. @returns as `stepBulkAction` */
  async finish(tasks: number, next: string | null): Promise<number | null> {
    const db = this.#db;
    const now = db.clock.now();
    if (next === null) {
      const all = { ...this.#now, total: this.#now.matched, version: this.#stored.version };
      const after = endedRun(all, 'completed', null, now);
      return (await commit(db.redis, endWrites(db, this.#stored, after, this.#newFailures())))
        ? null
        : RETRY_AFTER_MS;
    }
    const rest = restAfterStep(tasks, await bulkActionsRunning(db, this.#now.org_id));
    const after: BulkAction = {
      ...this.#now,
      status: 'running',
      cursor: next,
      version: this.#stored.version + 1,
      updated_at: now,
    };
    const change = stepWrites(db, this.#stored, after, this.#newFailures(), now + rest);
    return (await commit(db.redis, change)) ? rest : RETRY_AFTER_MS;
  }

  #plan(task: Task) {
    const { task_action: action, selection } = this.#order;
    const { created_at: decidedAt } = this.#now;
    return planFor(this.#db, task, { action, selection, pools: this.#allowed.pools, decidedAt });
  }

  /** Guards of the credential. The record of the bulk action is guarded by `progressWrites`. */
  async #callerGuards(isRetry: boolean): Promise<readonly Guard[]> {
    if (!isRetry) return this.#allowed.guards;
    const { org_id, bulk_action_id, version } = this.#stored;
    const [bulk, allowed, suspended] = await Promise.all([
      loadBulkAction(this.#db, org_id, bulk_action_id),
      allowedBy(this.#db, this.#stored, this.#order),
      isSuspended(this.#db, org_id),
    ]);
    const isSame = JSON.stringify(allowed) === JSON.stringify(this.#allowed);
    if (suspended || !isSame || bulk?.version !== version) throw new Overtaken();
    return this.#allowed.guards;
  }

  /** Counts a task that was not changed; stored with the next commit. */
  #note(task_id: string, outcome: 'skip' | Pick<TaskProblem, 'code' | 'message'> | BulkProblem): void {
    if (outcome !== 'skip' && this.#failures.length < MAX_FAILURES) {
      const detail = elided(outcome.message, MAX_DETAIL_LENGTH);
      this.#failures = [...this.#failures, { task_id, code: outcome.code, detail }];
      this.#hasNewFailures = true;
    }
    this.#now = this.#counted(task_id, outcome === 'skip' ? 'skipped' : 'failed');
  }

  #counted(taskId: string, outcome: BulkOutcome): BulkAction {
    const after = counted(this.#now, taskId, outcome, this.#db.clock.now());
    return { ...after, version: this.#stored.version + 1 };
  }

  #saved(after: BulkAction): void {
    this.#stored = after;
    this.#now = after;
    this.#hasNewFailures = false;
  }

  #newFailures(): readonly BulkFailure[] | null {
    return this.#hasNewFailures ? this.#failures : null;
  }
}

interface BulkProblem {
  code: 'unavailable' | 'internal_error';
  message: string;
}

/** The problem of an error that concerns one task only. */
function unexpected(error: unknown): BulkProblem {
  const isPassing =
    error instanceof ContendedError || (error instanceof UnreadableRecord && error.kind === 'newer');
  return isPassing
    ? { code: 'unavailable', message: 'The task could not be changed at that time.' }
    : { code: 'internal_error', message: 'The task could not be changed because of an internal error.' };
}
