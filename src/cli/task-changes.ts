// The verbs of `biolayer tasks` that change a task: for leads and reviewers, and the worker's dispute.

import type { ReviewDecision, TaskUpdate, Urgency } from '@biolayer/sdk';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DISPUTE_DECISIONS } from '../state/tasks/dispute.ts';
import { ASSIGN_MODES, type AssignMode } from '../state/tasks/offer.ts';
import { URGENCIES } from '../state/tasks/task.ts';
import { asNumber, givenOnly } from './flags.ts';
import { parseJson } from './json.ts';
import { DECISIONS } from './reviews.ts';
import { openSession, type Streams } from './session.ts';
import { showTask } from './show-task.ts';

interface UpdateFlags {
  urgency?: Urgency;
  deadline?: string;
  targetLatency?: number | 'none';
  requirements?: string;
  metadata?: Record<string, string | null>;
}

interface ReviewFlags {
  decision: ReviewDecision;
  feedback?: string;
  rating?: number;
  worker?: string;
}

/** Adds the verbs to `biolayer tasks`. */
export function addTaskChangeCommands(tasks: Command, streams: Streams): void {
  tasks
    .command('update')
    .description('change the SLA, requirements or metadata of a task that is not final')
    .argument('<task_id>')
    .addOption(new Option('--urgency <urgency>', URGENCIES.join(', ')))
    .option('--deadline <time>', 'RFC 3339; none: remove it')
    .option('--target-latency <seconds>', 'none: remove it', numberOrNone)
    .option('--requirements <json>', 'JSON merge patch: null removes a requirement')
    .option('--metadata <key=value>', 'repeatable; an empty value removes the key', pairs)
    .action(async (taskId: string, flags: UpdateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      showTask(out, await api.tasks.update(taskId, patchOf(flags)));
    });
  tasks
    .command('requeue')
    .description('take a task back from its worker and queue it again')
    .argument('<task_id>')
    .requiredOption('--reason <text>')
    .action(async (taskId: string, { reason }: { reason: string }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      showTask(out, await api.tasks.requeue(taskId, { reason }));
    });
  tasks
    .command('assign')
    .description('give a task to a worker')
    .argument('<task_id>')
    .argument('<worker_id>')
    .addOption(
      new Option('--mode <mode>', 'offer (default), or assign: without their accept').choices(ASSIGN_MODES),
    )
    .option('--force', 'also if the worker is not eligible')
    .action(
      async (
        taskId: string,
        worker_id: string,
        { mode, force }: { mode?: AssignMode; force?: true },
        command: Command,
      ) => {
        const { api, out } = await openSession(command, streams);
        showTask(out, await api.tasks.assign(taskId, givenOnly({ worker_id, mode, force })));
      },
    );
  tasks
    .command('review')
    .description('decide on a submission; `reviews next` shows the one that has waited longest')
    .argument('<task_id>')
    .addOption(
      new Option('--decision <decision>', 'rework and reject need --feedback')
        .choices(DECISIONS)
        .makeOptionMandatory(),
    )
    .option('--feedback <text>', 'what the worker reads')
    .option('--rating <n>', 'quality of the work, 1 to 5', asNumber)
    .option('--worker <worker_id>', 'with approve, of a task with copies: whose answer is the result')
    .action(async (taskId: string, flags: ReviewFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { worker: worker_id, ...rest } = flags;
      showTask(out, await api.tasks.review(taskId, givenOnly({ ...rest, worker_id })));
    });
  tasks
    .command('dispute')
    .description('with the token of its worker: dispute the rejection of a task')
    .argument('<task_id>')
    .argument('<text>')
    .action(async (taskId: string, text: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      showTask(out, await api.worker.disputeRejection(taskId, { text }));
    });
  tasks
    .command('resolve-dispute')
    .description('decide on the dispute of a rejection')
    .argument('<task_id>')
    .addOption(
      new Option('--decision <decision>', 'uphold, or overturn: the rejection does not count')
        .choices(DISPUTE_DECISIONS)
        .makeOptionMandatory(),
    )
    .option('--text <text>', 'the worker reads it')
    .action(
      async (
        taskId: string,
        { decision, text }: { decision: 'uphold' | 'overturn'; text?: string },
        command: Command,
      ) => {
        const { api, out } = await openSession(command, streams);
        showTask(out, await api.tasks.resolveDispute(taskId, givenOnly({ decision, text })));
      },
    );
}

/** The body of `PATCH /v1/tasks/{task_id}`. @throws UsageError */
function patchOf({ urgency, deadline, targetLatency, requirements, metadata }: UpdateFlags): TaskUpdate {
  const sla = givenOnly({
    urgency,
    deadline: deadline === 'none' ? null : deadline,
    target_latency_seconds: targetLatency === 'none' ? null : targetLatency,
  });
  return givenOnly({
    sla: Object.keys(sla).length > 0 ? sla : undefined,
    requirements:
      requirements === undefined
        ? undefined
        : parseJson<NonNullable<TaskUpdate['requirements']>>(requirements, '--requirements'),
    metadata,
  });
}

/** Parses a number, or `none`. @throws InvalidArgumentError */
function numberOrNone(text: string): number | 'none' {
  return text === 'none' ? text : asNumber(text);
}

/** Collects the values of a repeatable flag `key=value`; an empty value becomes null. @throws InvalidArgumentError */
function pairs(text: string, before: Record<string, string | null> = {}): Record<string, string | null> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be key=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) || null };
}
