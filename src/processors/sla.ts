// Asks the questions whose time has come: is the offer still open, was the task started, is a clock due and
// not met? A delayed job is only the alarm; the answer comes from the task as it is now, so a job that is
// late, early, doubled or no longer wanted does no harm.

import { DelayedError, type Job } from 'bullmq';
import type { QuestionJob } from '../queues/catalogue.ts';
import type { Queues } from '../queues/queues.ts';
import type { Command } from '../state/command.ts';
import type { Question } from '../state/questions.ts';
import { changeTask } from '../store/change.ts';
import type { Db } from '../store/redis.ts';
import { requestMatching } from './matching.ts';

/** Runs a job of the `sla` queue. */
export async function runSlaJob(
  db: Db,
  queues: Queues,
  job: Job<QuestionJob>,
  token: string | undefined,
): Promise<void> {
  const { org_id, task_id, question } = job.data;
  const early = question.at - db.clock.now();
  if (early > 0) {
    // Due by this machine's clock, but not yet by Redis'.
    await job.moveToDelayed(Date.now() + early, token);
    throw new DelayedError();
  }
  if (question.kind === 'match')
    return requestMatching(db, queues, org_id, [{ kind: 'task', task_id, pool: null }]);
  await changeTask(db, org_id, task_id, answer(question), { actor: 'system' });
}

/** The commands to give when the question is answered with yes; the lifecycle refuses them when it is no. */
function answer(question: Question): Command[] {
  switch (question.kind) {
    case 'target_latency':
    case 'deadline':
      return [{ name: 'clock', clock: question.kind }];
    case 'offer_expiry':
      return [{ name: 'expire', offer_id: question.ref ?? '' }];
    case 'start_timeout':
      return [{ name: 'start_timeout', accepted_at: Number(question.ref) }];
    case 'relax':
      return [{ name: 'relax' }];
    case 'auto_approve':
      return [{ name: 'approve', feedback: null, submitted_at: Number(question.ref) }, { name: 'complete' }];
    case 'match':
    case 'verify':
      throw new Error(`sla knows no question ${question.kind}`);
  }
}
