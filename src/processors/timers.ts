// Runs a scheduled check that is due: has the offer expired, was the task started, is an SLA clock due and not met? A
// delayed job only says when to look; the task as it is now decides. So a job that is late, early, duplicated or no
// longer needed does no harm. `due-checks.ts` runs the jobs of moments, which are for many tasks.

import type { Job } from 'bullmq';
import type { OutputSchemas } from '../output-schema/output-schemas.ts';
import type { CheckJob } from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import { putOffJob } from '../queues/redis-time.ts';
import type { Command } from '../state/tasks/command.ts';
import type { DelayedCheck } from '../state/tasks/scheduled-checks.ts';
import type { Task } from '../state/tasks/task.ts';
import { type Choice, changeTask } from '../store/commands/change.ts';
import { planEscalations } from '../store/commands/escalate-task.ts';
import type { Db } from '../store/redis/connection.ts';
import type { Log } from '../store/redis/log.ts';
import type { StoredTask } from '../store/tasks/tasks.ts';
import { requestMatching } from './matching.ts';
import { verify } from './verification.ts';

/** A check that is in the index of due times and run at its time. */
type IndexedCheck = Exclude<DelayedCheck, { kind: 'match' }>;

/** Delay of a check while nothing may expire (see `isFrozen` of the clock), ms. */
const RETRY_WHILE_FROZEN_MS = 2000;

export interface SlaDeps {
  db: Db;
  queues: Queues;
  schemas: OutputSchemas;
  log: Log;
  /** Called for each check that runs, with how late it is, ms. */
  onCheck?: (kind: DelayedCheck['kind'], lateMs: number) => void;
}

/** Runs the job of one check. @param job to put it off. @param token BullMQ's, of its lock. */
export async function runCheckJob(
  deps: SlaDeps,
  { org_id, task_id, check }: CheckJob<DelayedCheck>,
  job: Pick<Job, 'moveToDelayed'>,
  token: string | undefined,
): Promise<void> {
  const { db, queues, onCheck } = deps;
  if (check.kind === 'match') {
    const early = waitFor(db, check);
    if (early > 0) await putOffJob(job, early, token);
    onCheck?.(check.kind, db.clock.now() - check.at);
    return requestMatching(db, queues, org_id, [{ kind: 'task', task_id, pool: null }]);
  }
  const ran = await runCheck(deps, { org_id, task_id }, check);
  if (ran.kind === 'not_yet') await putOffJob(job, ran.wait, token);
}

/**
 * Runs a check of the index of due times.
 * @param loaded the task as loaded a moment ago.
 * @returns the task after the change, null when it was not changed; or how long to wait, ms, when the check is not due by Redis'
 *   clock, or that clock has jumped.
 */
export async function runCheck(
  { db, schemas, onCheck }: SlaDeps,
  { org_id, task_id }: { org_id: string; task_id: string },
  check: IndexedCheck,
  loaded?: StoredTask,
): Promise<{ kind: 'ran'; task: Task | null } | { kind: 'not_yet'; wait: number }> {
  const early = waitFor(db, check);
  if (early > 0) return { kind: 'not_yet', wait: early };
  onCheck?.(check.kind, db.clock.now() - check.at);
  const options = { actor: 'system', loaded };
  const changed = await changeTask(db, org_id, task_id, choiceOf(db, schemas, check), options);
  if (changed.ok) return { kind: 'ran', task: changed.task };
  // Redis' clock may have been set back since the check began.
  const wait = changed.code === 'not_due' ? waitFor(db, check) : 0;
  return wait > 0 ? { kind: 'not_yet', wait } : { kind: 'ran', task: null };
}

/** How long to wait until the check may run, ms; not positive when it may. */
function waitFor(db: Db, check: DelayedCheck): number {
  const endsNothing = check.kind === 'match' || check.kind === 'relax';
  return db.clock.isFrozen && !endsNothing ? RETRY_WHILE_FROZEN_MS : check.at - db.clock.now();
}

/** The commands to give when the check is due; the lifecycle refuses them when they no longer apply. */
function choiceOf(db: Db, schemas: OutputSchemas, check: IndexedCheck): Choice {
  switch (check.kind) {
    case 'queue':
    case 'due_soon':
    case 'target_latency':
    case 'deadline':
      return [{ name: check.kind }];
    case 'offer_expiry':
      return [{ name: 'expire', offer_id: check.offer_id }];
    case 'start_timeout':
      return [{ name: 'start_timeout', accepted_at: check.accepted_at }];
    case 'relax':
      return [{ name: 'relax' }];
    case 'escalate':
      return (task) => planEscalations(db, task);
    case 'auto_approve': {
      const { submitted_at } = check;
      const onward: Command[] = [
        { name: 'approve', feedback: null, submitted_at, is_automatic: true },
        { name: 'complete' },
      ];
      // A submission that was not reviewed is approved only if it passes the automatic checks.
      return (task) => verify(db, schemas, task, onward);
    }
  }
}
