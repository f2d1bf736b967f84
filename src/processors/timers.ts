// Asks the questions whose time has come: is the offer still open, was the task started, is a clock due and
// not met? A delayed job is only the alarm; the answer comes from the task as it is now, so a job that is
// late, early, doubled or no longer wanted does no harm.

import type { Job } from 'bullmq';
import type { OutputSchemas } from '../output-schema/output-schemas.ts';
import type { CheckJob } from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import { putOffJob } from '../queues/redis-time.ts';
import type { ScheduledCheck } from '../state/tasks/checks.ts';
import type { Command } from '../state/tasks/command.ts';
import { changeTask } from '../store/commands/change.ts';
import type { Db } from '../store/redis/connection.ts';
import { requestMatching } from './matching.ts';
import { verify } from './verification.ts';

/** While nothing may end by time, a question is put off by this much, ms. */
const HELD_PAUSE = 2000;

/** Runs a job of the `sla` queue. */
export async function runSlaJob(
  db: Db,
  queues: Queues,
  schemas: OutputSchemas,
  job: Job<CheckJob>,
  token: string | undefined,
): Promise<void> {
  const { org_id, task_id, check } = job.data;
  await putOffIfEarly(db, job, token);
  if (check.kind === 'match')
    return requestMatching(db, queues, org_id, [{ kind: 'task', task_id, pool: null }]);
  const commands = answer(check);
  const changed = await changeTask(
    db,
    org_id,
    task_id,
    // A submission that nobody has reviewed is approved only as it would be verified.
    check.kind === 'auto_approve' ? (task) => verify(db, schemas, task, commands) : commands,
    { actor: 'system' },
  );
  // Refused since Redis' clock has said something else meanwhile: it is asked again.
  if (!changed.ok && changed.code === 'not_due') await putOffIfEarly(db, job, token);
}

/** @throws DelayedError when it is not due by Redis' clock, or that has jumped */
async function putOffIfEarly(db: Db, job: Job<CheckJob>, token: string | undefined): Promise<void> {
  const { check } = job.data;
  const endsNothing = check.kind === 'match' || check.kind === 'relax';
  const wait = db.clock.isHeld && !endsNothing ? HELD_PAUSE : check.at - db.clock.now();
  if (wait <= 0) return;
  await putOffJob(job, wait, token);
}

/** The commands to give when the question is answered with yes; the lifecycle refuses them when it is no. */
function answer(check: ScheduledCheck): Command[] {
  switch (check.kind) {
    case 'target_latency':
    case 'deadline':
      return [{ name: 'clock', clock: check.kind }];
    case 'offer_expiry':
      return [{ name: 'expire', offer_id: check.ref ?? '' }];
    case 'start_timeout':
      return [{ name: 'start_timeout', accepted_at: Number(check.ref) }];
    case 'relax':
      return [{ name: 'relax' }];
    case 'auto_approve':
      return [
        { name: 'approve', feedback: null, submitted_at: Number(check.ref), is_automatic: true },
        { name: 'complete' },
      ];
    case 'match':
    case 'verify':
      throw new Error(`sla knows no question ${check.kind}`);
  }
}
