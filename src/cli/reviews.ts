// `biolayer reviews`: shows the submission that has waited longest for a reviewer, and decides on it.

import type { BioLayer, Task } from '@biolayer/sdk';
import type { Command } from 'commander';
import { UsageError } from './faults.ts';
import { asNumber, givenOnly } from './flags.ts';
import type { Output } from './output.ts';
import { openSession, type Streams } from './session.ts';
import { at, listAt, textAt } from './value.ts';

export const DECISIONS = ['approve', 'rework', 'reassign', 'reject'] as const;
type Decision = (typeof DECISIONS)[number];

interface NextFlags extends Partial<Record<Decision, true>> {
  task?: string;
  feedback?: string;
  rating?: number;
}

const HEAD = [
  'task_id',
  'title',
  'task_type',
  'domain',
  'sla.urgency',
  'sla.deadline',
  'submission.worker_id',
  'submission.submitted_at',
  'submission.agreement',
  'submission.notes',
];

/** Adds `biolayer reviews`. */
export function addReviewCommands(program: Command, streams: Streams): void {
  const reviews = program.command('reviews').description('submissions that wait for a reviewer');
  reviews
    .command('next')
    .description('show the submission that has waited longest for a review, or decide on it')
    .option('--task <task_id>', 'this task instead, so that the decision is on what you have seen')
    .option('--approve', 'accept the submission')
    .option('--rework', 'send it back to the worker; needs --feedback')
    .option('--reassign', 'give the task to another worker')
    .option('--reject', 'fail the task; needs --feedback')
    .option('--feedback <text>', 'what the worker reads')
    .option('--rating <n>', 'quality of the work, 1 to 5', asNumber)
    .action(async (flags: NextFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const decision = decisionOf(flags);
      const task = await (flags.task === undefined ? oldestSubmission(api) : api.tasks.get(flags.task));
      if (task === null) return out.answer(null, () => out.note('No submission waits for a review.'));
      if (decision === null) return out.answer(task, () => showSubmission(out, task));
      const { feedback, rating } = flags;
      const decided = await api.tasks.review(task.task_id, givenOnly({ decision, feedback, rating }), {
        // Refused when the worker has submitted again, or another reviewer was faster.
        headers: { 'If-Match': `"${task.version}"` },
      });
      out.answer(decided, () => out.record(decided, ['task_id', 'title', 'status']));
    });
}

/** The decision that was asked for; null for none. @throws UsageError for more than one, or flags that need one */
function decisionOf(flags: NextFlags): Decision | null {
  const [decision = null, ...others] = DECISIONS.filter((name) => flags[name] === true);
  if (others.length > 0) throw new UsageError('Give one decision only.');
  if (decision === null && (flags.feedback !== undefined || flags.rating !== undefined))
    throw new UsageError('--feedback and --rating need a decision, such as --approve.');
  return decision;
}

/** The submission that has waited longest, among those of the 200 oldest tasks in review; null for none. */
async function oldestSubmission(api: BioLayer): Promise<Task | null> {
  const { data } = await api.tasks.list({ in_review: true, status: ['submitted'], order: 'asc', limit: 200 });
  const waitsSince = (task: Task) => textAt(task, 'submission', 'submitted_at');
  const [oldest = null] = data.sort((one, other) => (waitsSince(one) < waitsSince(other) ? -1 : 1));
  return oldest;
}

/** Prints what a reviewer needs: the task, what was asked, what was handed in. */
function showSubmission(out: Output, task: unknown): void {
  out.record(task, HEAD);
  section(out, 'Instructions', textAt(task, 'instructions').split('\n'));
  section(out, 'Output', JSON.stringify(at(task, 'submission', 'output') ?? null, null, 2).split('\n'));
  const files = listAt(task, 'submission', 'evidence');
  if (files.length > 0) {
    section(out, 'Evidence', []);
    out.table(files, ['evidence_id', 'media_type', 'bytes', 'sha256', 'name']);
  }
  out.note(`\nDecide: biolayer reviews next --task ${textAt(task, 'task_id')} --approve`);
}

function section(out: Output, title: string, lines: readonly string[]): void {
  out.line('');
  out.line(`${title}:`);
  for (const line of lines) out.line(line);
}
