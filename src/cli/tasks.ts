// `biolayer tasks`: creates, shows, lists, follows and cancels tasks.

import type { CreateTaskBody, TaskUpdate, Urgency } from '@biolayer/sdk';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { DISPUTE_DECISIONS } from '../state/tasks/dispute.ts';
import { EVENT_TYPES } from '../state/tasks/lifecycle.ts';
import { ASSIGN_MODES, type AssignMode } from '../state/tasks/offer.ts';
import { URGENCIES } from '../state/tasks/task.ts';
import { addPageFlags, asNumber, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { describe, historyAfter } from './history.ts';
import { parseJson, readJson } from './json.ts';
import type { Output } from './output.ts';
import { openSession, type Streams, TIME_LIMIT } from './session.ts';
import { addFilterFlags, type FilterFlags, filtersOf } from './task-filters.ts';
import { listAt } from './value.ts';
import { watchTask } from './watch.ts';

const MATCH_FIELDS = [
  'status',
  'reason',
  'workers.considered',
  'workers.qualified',
  'workers.available',
  'workers.eligible',
  'queue.position',
  'estimated_wait_seconds',
  'ask_again_at',
];
const FIELDS = [
  'task_id',
  'status',
  'title',
  'origin.request_id',
  'not_before',
  'sla.urgency',
  'sla.deadline',
  'sla.breaches',
  'attempt',
  'assignment.worker_id',
  'submission.output',
  'submission.notes',
  'submission.worker_id',
  'submission.submitted_at',
  'submission.agreement',
  'result.output',
  'result.agreement',
  'result.copies',
  'result.notes',
  'failure.code',
  'failure.message',
  'cancellation.reason',
  'report.reason',
  'report.text',
  'report.decision',
  'dispute.status',
  'dispute.text',
  'dispute.decision_text',
  'created_at',
  'updated_at',
];

const TYPE_WIDTH = Math.max(...EVENT_TYPES.map((type) => type.length));

interface ListFlags extends FilterFlags, PageFlags {
  orderBy?: 'created_at' | 'deadline';
}

interface UpdateFlags {
  urgency?: Urgency;
  deadline?: string;
  targetLatency?: number | 'none';
  requirements?: string;
  metadata?: Record<string, string | null>;
}

/** Adds `biolayer tasks`. */
export function addTaskCommands(program: Command, streams: Streams): void {
  const tasks = program.command('tasks').description('tasks');
  tasks
    .command('create')
    .description('create a task from JSON, the body of POST /v1/tasks')
    .option('--file <file>', 'file with the JSON (default: stdin)')
    .option('--idempotency-key <key>', 'repeating the command with this key creates no second task')
    .action(async (flags: { file?: string; idempotencyKey?: string }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const body = await readJson<CreateTaskBody>(flags.file, streams);
      const { idempotencyKey } = flags;
      showTask(out, await api.tasks.create(body, { idempotencyKey }));
    });
  tasks
    .command('get')
    .description('show a task')
    .argument('<task_id>')
    .option('--wait <seconds>', 'wait until it is final, at most this long (1 to 60)', asNumber)
    .action(async (taskId: string, { wait }: { wait?: number }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const timeoutMs = TIME_LIMIT + 1000 * (wait ?? 0);
      showTask(out, await api.tasks.get(taskId, givenOnly({ wait }), { timeoutMs }));
    });
  addFilterFlags(addPageFlags(tasks.command('list')))
    .description('list tasks; filters are repeatable and accept comma-separated lists')
    .addOption(new Option('--order-by <field>', 'default: created_at').choices(['created_at', 'deadline']))
    .action(async (flags: ListFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { assignedTo, overdue, hasOpenQuestion, inReview, orderBy } = flags;
      const isForLead = [assignedTo, overdue, hasOpenQuestion, inReview, orderBy].some(
        (one) => one !== undefined,
      );
      const query = { ...filtersOf(flags), order_by: orderBy, ...pageQuery(flags) };
      const page = await api.tasks.list(givenOnly(query));
      const more = isForLead ? ['sla.deadline', 'assignment.worker_id'] : [];
      showPage(out, page, ['task_id', 'status', 'sla.urgency', ...more, 'title']);
    });
  tasks
    .command('cancel')
    .description('cancel a task that has not been submitted')
    .argument('<task_id>')
    .option('--reason <text>')
    .action(async (taskId: string, { reason }: { reason?: string }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      showTask(out, await api.tasks.cancel(taskId, givenOnly({ reason })));
    });
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
  tasks
    .command('watch')
    .description('follow a task to its end')
    .argument('<task_id>')
    .action(async (taskId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { task, events } = await watchTask(api, taskId, {
        onEvent: (entry) => out.live(eventCells(entry)),
        onOutage: (reason) => out.note(`${reason}; trying again`),
      });
      out.answer({ ...task, events }, () => out.line(`The task is ${task.status}.`));
    });
  tasks
    .command('match')
    .description('show why a task is not matched')
    .argument('<task_id>')
    .action(async (taskId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      showMatch(out, await api.tasks.explainMatch(taskId));
    });
  tasks
    .command('events')
    .description('show the history of a task, oldest first')
    .argument('<task_id>')
    .action(async (taskId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const events = await historyAfter(api, taskId, 0);
      const page = { data: events, has_more: false, next_cursor: null };
      out.answer(page, () => out.rows(events.map(eventCells)));
    });
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

/** Prints the most important fields of a task. */
function showTask(out: Output, task: unknown): void {
  out.answer(task, () => out.record(task, FIELDS));
}

/** Prints why a task waits: the reason, then how many workers each requirement excludes. */
function showMatch(out: Output, match: unknown): void {
  out.answer(match, () => {
    out.record(match, MATCH_FIELDS);
    const ruledOut = listAt(match, 'requirements');
    if (ruledOut.length > 0) out.table(ruledOut, ['requirement', 'wanted', 'rules_out']);
    const misses = listAt(match, 'nearest_misses');
    if (misses.length > 0) out.table(misses, ['worker_id', 'availability', 'lacks']);
  });
}

function eventCells(entry: Parameters<typeof describe>[0]): string[] {
  return [String(entry.sequence).padStart(3), entry.at, entry.type.padEnd(TYPE_WIDTH), describe(entry)];
}
