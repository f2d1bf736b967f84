// The second check of a submission. The route that takes the submission makes the first one; this one stops submissions
// that a defect or an older process let through.

import type { OutputSchemas } from '../output-schema/output-schemas.ts';
import { orgOf } from '../state/access/tenant.ts';
import type { Command } from '../state/tasks/command.ts';
import { evidenceProblems } from '../state/tasks/evidence.ts';
import type { Task } from '../state/tasks/task.ts';
import type { Plan } from '../store/commands/change.ts';
import { evidenceFor } from '../store/evidence/evidence.ts';
import type { Db } from '../store/redis/connection.ts';

/** Most problems named in the feedback. */
const MAX_NAMED = 10;

/**
 * Checks the current submission.
 * @param onward the commands to give when it passes.
 * @returns `onward`, or rework with the problems as feedback.
 * @throws CheckerBusyError when it cannot be checked now.
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
  // Whose files these are was checked at the submission.
  const by = { worker_id: submission.worker_id, incarnation: null };
  const evidence = await evidenceFor(db, task, by, ids);
  const problems = [
    ...(await schemas.checkOutput(task.input.output, submission.output, orgOf(task.org_id))).map((one) => ({
      ...one,
      pointer: `/output${one.pointer}`,
    })),
    ...evidenceProblems(task, evidence),
  ];
  if (problems.length === 0) return { commands: onward, guards: evidence.guards };
  const named = problems.slice(0, MAX_NAMED).map((one) => `${one.pointer} ${one.message}`);
  const feedback = `The submission does not pass the automatic checks: ${named.join('; ')}.`;
  const { submitted_at } = submission;
  return { commands: [{ name: 'rework', feedback, submitted_at }], guards: evidence.guards };
}
