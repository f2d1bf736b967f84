// The second check of what was submitted. The first is made by the route that takes a submission, in the change that
// commits it; this one keeps what got past it, by a defect or an older process, from being completed.

import type { OutputSchemas } from '../output-schema/output-schemas.ts';
import { orgOf } from '../state/access/tenant.ts';
import type { Command } from '../state/tasks/command.ts';
import { evidenceProblems } from '../state/tasks/evidence.ts';
import type { Task } from '../state/tasks/task.ts';
import type { Plan } from '../store/commands/change.ts';
import { evidenceFor } from '../store/evidence/evidence.ts';
import type { Db } from '../store/redis/connection.ts';

/** At most so many problems are named in the feedback. */
const TOLD = 10;

/**
 * What is to be done with the submission that stands.
 * @param onward the commands when it is what the task asks for.
 * @returns `onward`, or rework with the problems as feedback.
 * @throws CheckerBusyError when it could not be found out now.
 */
export async function verify(
  db: Db,
  schemas: OutputSchemas,
  task: Task,
  onward: readonly Command[],
): Promise<Plan> {
  const { submission } = task;
  // The lifecycle refuses.
  if (task.status !== 'submitted' || submission === null) return { commands: onward };
  const ids = submission.evidence.map((one) => one.evidence_id);
  // Which files were the worker's was decided when they submitted.
  const by = { worker_id: submission.worker_id, incarnation: null };
  const evidence = await evidenceFor(db, task, by, ids);
  const problems = [
    ...(await schemas.checkOutput(task.input.output, submission.output, orgOf(task.org_id))).map((one) => ({
      ...one,
      pointer: `/output${one.pointer}`,
    })),
    ...evidenceProblems(task, evidence),
  ];
  if (problems.length === 0) return { commands: onward, guards: [evidence.guard] };
  const told = problems.slice(0, TOLD).map((one) => `${one.pointer} ${one.message}`);
  const feedback = `The submission does not pass the automatic checks: ${told.join('; ')}.`;
  const { submitted_at } = submission;
  return { commands: [{ name: 'rework', feedback, submitted_at }], guards: [evidence.guard] };
}
