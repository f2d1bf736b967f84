// Runs scheduled checks that are due: has the offer expired, was the task started, is an SLA clock due and not met? A
// delayed job only says when to look; the task as it is now decides. So a job that is late, early, duplicated or no
// longer needed does no harm.

import type { Job } from 'bullmq';
import type { OutputSchemas } from '../output-schema/output-schemas.ts';
import type { CheckJob } from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import { putOffJob } from '../queues/redis-time.ts';
import type { Command } from '../state/tasks/command.ts';
import type { DelayedCheck } from '../state/tasks/scheduled-checks.ts';
import { type Choice, changeTask } from '../store/commands/change.ts';
import { planEscalations } from '../store/commands/escalate-task.ts';
import type { Db } from '../store/redis/connection.ts';
import { requestMatching } from './matching.ts';
import { verify } from './verification.ts';

/** Delay of a check while nothing may expire (see `isFrozen` of the clock), ms. */
const RETRY_WHILE_FROZEN_MS = 2000;

interface SlaDeps {
  db: Db;
  queues: Queues;
  schemas: OutputSchemas;
  /** Called for each check that runs, with how late it is, ms. */
  onCheck?: (kind: DelayedCheck['kind'], lateMs: number) => void;
}

/** Runs a job of the `sla` queue. @param job to put it off. @param token BullMQ's, of its lock. */
export async function runSlaJob(
  { db, queues, schemas, onCheck }: SlaDeps,
  { org_id, task_id, check }: CheckJob<DelayedCheck>,
  job: Pick<Job, 'moveToDelayed'>,
  token: string | undefined,
): Promise<void> {
  await putOffIfEarly(db, check, job, token);
  onCheck?.(check.kind, db.clock.now() - check.at);
  if (check.kind === 'match')
    return requestMatching(db, queues, org_id, [{ kind: 'task', task_id, pool: null }]);
  const choice = choiceOf(db, schemas, check);
  const changed = await changeTask(db, org_id, task_id, choice, { actor: 'system' });
  // Redis' clock may have been set back since the check began.
  if (!changed.ok && changed.code === 'not_due') await putOffIfEarly(db, check, job, token);
}

/** @throws DelayedError when the check is not due by Redis' clock, or that clock has jumped */
async function putOffIfEarly(
  db: Db,
  check: DelayedCheck,
  job: Pick<Job, 'moveToDelayed'>,
  token: string | undefined,
): Promise<void> {
  const endsNothing = check.kind === 'match' || check.kind === 'relax';
  const wait = db.clock.isFrozen && !endsNothing ? RETRY_WHILE_FROZEN_MS : check.at - db.clock.now();
  if (wait <= 0) return;
  await putOffJob(job, wait, token);
}

/** The commands to give when the check is due; the lifecycle refuses them when they no longer apply. */
function choiceOf(db: Db, schemas: OutputSchemas, check: Exclude<DelayedCheck, { kind: 'match' }>): Choice {
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
