// `biolayer reviews`: shows the submission, report or dispute that has waited longest for a reviewer, and decides on it.

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
  'report.reason',
  'report.text',
];

/** Adds `biolayer reviews`. */
export function addReviewCommands(program: Command, streams: Streams): void {
  const reviews = program
    .command('reviews')
    .description('submissions, reports and disputes that wait for a reviewer');
  reviews
    .command('next')
    .description('show what has waited longest for a reviewer, or decide on it')
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
      const task = await (flags.task === undefined ? longestWaiting(api) : api.tasks.get(flags.task));
      if (task === null) return out.answer(null, () => out.note('Nothing waits for a reviewer.'));
      if (decision === null) return out.answer(task, () => showReview(out, task));
      if (isDisputed(task))
        throw new UsageError(`The rejection of this task is disputed. ${decideCommand(task)}`);
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

/** The task that has waited longest, among the 200 oldest in review; null for none. */
async function longestWaiting(api: BioLayer): Promise<Task | null> {
  const { data } = await api.tasks.list({ in_review: true, order: 'asc', limit: 200 });
  const [oldest = null] = data.sort((one, other) => (waitsSince(one) < waitsSince(other) ? -1 : 1));
  return oldest;
}

/** Whether a worker waits for the decision on their dispute. */
function isDisputed({ dispute }: Task): boolean {
  return dispute?.status === 'open';
}

/** Whether a worker has reported the task and nobody has decided about it. */
function isReported({ status, report }: Task): boolean {
  return status === 'queued' && report !== null && report.decision === null;
}

function waitsSince(task: Task): string {
  if (isDisputed(task)) return textAt(task, 'dispute', 'opened_at');
  return isReported(task)
    ? textAt(task, 'report', 'reported_at')
    : textAt(task, 'submission', 'submitted_at');
}

function decideCommand(task: Task): string {
  if (isDisputed(task)) return `Decide: biolayer tasks resolve-dispute --decision uphold ${task.task_id}`;
  const decision = isReported(task) ? 'reassign' : 'approve';
  return `Decide: biolayer reviews next --task ${task.task_id} --${decision}`;
}

/** Prints what a reviewer needs: the task, what was asked, what was handed in, and what its worker disputes. */
function showReview(out: Output, task: Task): void {
  out.record(task, HEAD);
  section(out, 'Instructions', textAt(task, 'instructions').split('\n'));
  section(out, 'Output', JSON.stringify(at(task, 'submission', 'output') ?? null, null, 2).split('\n'));
  const files = listAt(task, 'submission', 'evidence');
  if (files.length > 0) {
    section(out, 'Evidence', []);
    out.table(files, ['evidence_id', 'media_type', 'bytes', 'sha256', 'name']);
  }
  if (isDisputed(task)) {
    const feedback = task.reviews.at(-1)?.feedback ?? '';
    section(out, 'Rejected because', feedback.split('\n'));
    section(out, 'Dispute', textAt(task, 'dispute', 'text').split('\n'));
  }
  out.note(`\n${decideCommand(task)}`);
}

function section(out: Output, title: string, lines: readonly string[]): void {
  out.line('');
  out.line(`${title}:`);
  for (const line of lines) out.line(line);
}
