// The one way to change a task: load it, decide, load the workers whose reservations change with it, and commit all of
// them by compare-and-set. A commit based on an outdated task is refused, and the change is decided again; concurrent
// changes are never merged.

import type { Command, CommandContext, Refusal } from '../../state/tasks/command.ts';
import { apply, create, decide } from '../../state/tasks/decide.ts';
import { goldMark } from '../../state/tasks/gold.ts';
import { isAllowed } from '../../state/tasks/lifecycle.ts';
import { poolOf, startsAt, type Task, type TaskInput } from '../../state/tasks/task.ts';
import type { Guard } from '../redis/commit.ts';
import type { Db } from '../redis/connection.ts';
import { CONFLICT, updateWithRetry } from '../redis/contention.ts';
import { whenDue } from '../redis/due.ts';
import { confirmedRead } from '../redis/durability.ts';
import { newId, newIdPair } from '../redis/ids.ts';
import { KeyedMutex } from '../redis/keyed-mutex.ts';
import { orgKeysOf } from '../redis/keys.ts';
import { COMMAND_TIMEOUT } from '../redis/sending.ts';
import { rememberValues } from '../stats/values.ts';
import { loadTask, type StoredTask } from '../tasks/tasks.ts';
import { loadPool, poolGuards } from '../workers/pools.ts';
import { type Decided, isSuperfluous, originalOf, relatedChanges } from './copies.ts';
import { type ExtraWrites, type WrittenBeside, writeChanges } from './write-changes.ts';

export type Changed =
  | { ok: true; task: Task }
  | { ok: false; code: 'not_found' | 'stale' | 'worker_busy' | Refusal['code']; message: string };

/** `pool_gone`: the pool that the task requires was removed meanwhile. */
export type Created = Changed | { ok: false; code: 'pool_gone'; message: string };

/**
 * Guards of the caller's authorization: at first those of the credential as the request was admitted, and after a failed
 * commit (`isRetry`) those of the credential as it is now.
 * @throws an error for the caller if they are no longer authorized
 */
export type CallerGuards = (isRetry: boolean) => readonly Guard[] | Promise<readonly Guard[]>;

export interface ChangeOptions extends WrittenBeside {
  actor: string;
  callerGuards?: CallerGuards | undefined;
  /** Refuse with `stale` unless the task has this version. */
  ifVersion?: number | undefined;
  /** The task as loaded a moment ago, to save the first load. */
  loaded?: StoredTask | undefined;
}

/** Commands for a task, and guards of the other records on which the choice of commands was based. */
export interface Plan {
  commands: readonly Command[];
  guards?: readonly Guard[];
}

/**
 * Commands, or a function that chooses them from the task. The function may load other records and throws to refuse;
 * null means that there is nothing to do. It is called again for each version of the task that is tried, so the choice
 * fits the version that is committed.
 */
export type Choice = readonly Command[] | ((task: Task) => Plan | null | Promise<Plan | null>);

/**
 * Changes of one task run one after another in a process. When two hundred workers accept at once, the first change is
 * committed. The others wait, load the changed task and are refused without attempting a commit. A change that exceeds the
 * time limit of a Redis command is not waited for.
 */
const changing = new KeyedMutex(COMMAND_TIMEOUT + 500);

const INELIGIBLE =
  'The offer is no longer valid: the worker is unavailable or does not meet the requirements.';

/**
 * Creates a task and, unless its `not_before` lies ahead, queues it in the same commit.
 * @param options `org_id`: the org or its sandbox. `taskId`: the id of a task that an earlier try of the same request
 *   may have created; if so, that task is returned.
 */
export async function createTask(
  db: Db,
  input: TaskInput,
  options: {
    org_id: string;
    actor: string;
    callerGuards?: CallerGuards | undefined;
    extraWrites?: ExtraWrites | undefined;
    taskId?: string | undefined;
    /** A gold task that is created in the same commit. With a `taskId`, `task_id` is the id beside it (`newIdPair`). */
    gold?: { input: TaskInput; task_id?: string | undefined } | undefined;
    /** Refuse with `pool_gone` unless the pool that the task requires exists. */
    requirePool?: boolean | undefined;
    /** Further guards of the commit. */
    guards?: readonly Guard[] | undefined;
  },
): Promise<Created> {
  const now = db.clock.now();
  const { org_id, actor, taskId, gold } = options;
  const [first, beside] = gold === undefined ? [newId(now), ''] : newIdPair(now);
  const context = { now, actor, newId: () => newId(now) };
  const created = creation(input, { task_id: taskId ?? first, org_id }, context);
  if ('code' in created) return refused(created);
  const { task } = created;
  const golds = gold === undefined ? [] : [goldCreation(gold.input, gold.task_id ?? beside, task, context)];
  const pool = options.requirePool === true ? poolOf(task) : null;
  const pools = poolGuards(db, org_id, pool === null ? [] : [pool]);
  for (const isRetry of options.callerGuards === undefined ? [false] : [false, true]) {
    const callerGuards = (await options.callerGuards?.(isRetry)) ?? [];
    const guards = [...callerGuards, ...pools, ...(options.guards ?? [])];
    const related = task.copies === undefined ? [] : await relatedChanges(db, created, null, context);
    const outcome = await writeChanges(db, [created, ...related, ...golds], {
      guards,
      extraWrites: options.extraWrites,
    });
    if (outcome.kind === 'written') {
      rememberValues(db, task);
      return { ok: true, task };
    }
    const existing =
      taskId === undefined
        ? null
        : await confirmedRead(db, orgKeysOf(db.prefix, org_id).task(task.task_id), (on) =>
            loadTask(on, org_id, task.task_id),
          );
    if (existing !== null) return { ok: true, task: existing.task };
    if (pool !== null && (await loadPool(db, org_id, pool)) === null)
      return { ok: false, code: 'pool_gone', message: 'The pool was removed.' };
  }
  return {
    ok: false,
    code: 'stale',
    message: 'The authorization of the caller or its Idempotency-Key changed.',
  };
}

/**
 * The creation of a task. Unless it starts later, it is queued in the same change.
 * @param marks what kind of task it is, unless it is an ordinary one
 */
function creation(
  input: TaskInput,
  ids: { task_id: string; org_id: string },
  context: CommandContext,
  marks?: Parameters<typeof create>[3],
): Decided | Refusal {
  const transition = create(input, ids, context, marks);
  const { task } = transition;
  const decision = apply(transition, startsAt(task) > task.created_at ? [] : [{ name: 'queue' }]);
  if (!decision.ok) return decision.refusal;
  return { before: null, task: decision.task, events: decision.events, due: decision.due };
}

/** The creation of a gold task together with a real one. */
function goldCreation(input: TaskInput, task_id: string, real: Task, context: CommandContext): Decided {
  const created = creation(input, { task_id, org_id: real.org_id }, context, { gold: goldMark(real) });
  if ('code' in created) throw new Error(`gold task ${task_id}: ${created.message}`);
  return created;
}

/**
 * Gives commands to a task as one change.
 * @param choice the commands, or a function that chooses them from the task.
 * @returns the task after the change, or why there was none: `not_found`, `stale` (by `ifVersion`),
 *   `worker_busy` (an offered worker has no free capacity or is no longer eligible), or the refusal of the lifecycle.
 *   Accepting an offer for which the worker is no longer eligible is refused like an offer that has ended.
 */
export function changeTask(
  db: Db,
  orgId: string,
  taskId: string,
  choice: Choice,
  options: ChangeOptions,
): Promise<Changed> {
  return changing.take(taskId, (hasWaited) => {
    const preloaded = hasWaited ? { loaded: undefined, loadedWorkers: undefined } : {};
    return change(db, orgId, taskId, choice, { ...options, ...preloaded });
  });
}

async function change(
  db: Db,
  orgId: string,
  taskId: string,
  choice: Choice,
  options: ChangeOptions,
): Promise<Changed> {
  let loaded = options.loaded ?? null;
  let loadedWorkers = options.loadedWorkers ?? [];
  // Set after a refused commit: what replaces the commands on the next try (rework → reassign, accept → revoke).
  let replaceCommand: ((command: Command) => Command) | null = null;
  return updateWithRetry('task', async (isRetry) => {
    const stored: StoredTask | null = loaded ?? (await loadTask(db, orgId, taskId));
    const loadedHistory = loaded === null ? undefined : options.loadedHistory;
    loaded = null;
    if (stored === null) return { ok: false, code: 'not_found', message: 'There is no such task.' };
    if (options.ifVersion !== undefined && stored.task.version !== options.ifVersion)
      return { ok: false, code: 'stale', message: `The task is at version ${stored.task.version}.` };
    const plan = typeof choice === 'function' ? await choice(stored.task) : { commands: choice };
    if (plan === null) return { ok: false, code: 'not_due', message: 'There is nothing to do.' };
    const now = db.clock.now();
    const isRevoked = replaceCommand === toRevoke;
    const actor = isRevoked ? 'system' : options.actor;
    const context = { now, isClockFrozen: db.clock.isFrozen, actor, newId: () => newId(now) };
    const commands = replaceCommand === null ? plan.commands : plan.commands.map(replaceCommand);
    const original = await originalOf(db, stored.task);
    let decision = decide(stored.task, commands, context);
    // The original task ended while this copy was being verified, so the copy is cancelled in the same change.
    if (decision.ok && isSuperfluous(stored.task, original) && isAllowed('cancel', decision.task.status))
      decision = decide(stored.task, [...commands, { name: 'cancel', reason: null }], context);
    if (!decision.ok) return refused(decision.refusal);
    if (stored.isArchived) {
      await db.archive?.restore(orgId, taskId);
      return CONFLICT;
    }
    const callerGuards = (await options.callerGuards?.(isRetry)) ?? [];
    const guards = [...callerGuards, ...(plan.guards ?? [])];
    const extraWrites = isRevoked ? undefined : options.extraWrites;
    const { task, events, due } = decision;
    const decided = { before: stored, task, events, due };
    const changes = [decided, ...(await relatedChanges(db, decided, original, context))] as const;
    const known = { guards, extraWrites, loadedWorkers, loadedHistory };
    // Null: not due by Redis' clock. It is decided again, by the time as it is then.
    const outcome = (await whenDue(db.clock, () => writeChanges(db, changes, known))) ?? { kind: 'conflict' };
    loadedWorkers = [];
    switch (outcome.kind) {
      case 'written':
        return isRevoked ? ineligible() : { ok: true, task: decision.task };
      case 'rework_needs_other_worker':
        replaceCommand = toReassign;
        return CONFLICT;
      case 'worker_excluded':
        replaceCommand = toRevoke;
        return CONFLICT;
      case 'worker_busy':
        return { ok: false, code: 'worker_busy', message: 'The worker cannot get an offer now.' };
      case 'worker_ineligible':
        return ineligible();
      case 'conflict':
        return CONFLICT;
    }
  });
}

/** Rework for a worker who was removed or has no free capacity becomes a reassignment, through the queue. */
function toReassign(command: Command): Command {
  return command.name === 'rework' ? { ...command, name: 'reassign', is_rework: true } : command;
}

/** An accept by a worker whom the task excludes ends their offer. */
function toRevoke(command: Command): Command {
  return command.name === 'accept' ? { name: 'revoke', worker_id: command.worker_id } : command;
}

function ineligible(): Changed {
  return { ok: false, code: 'offer_not_pending', message: INELIGIBLE };
}

function refused(refusal: Refusal): Changed {
  return { ok: false, ...refusal };
}
