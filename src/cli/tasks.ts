// `biolayer tasks`: creates, shows, lists, follows and cancels tasks.

import type { CreateTaskBody } from '@biolayer/sdk';
import { type Command, Option } from 'commander';
import { EVENT_TYPES } from '../state/tasks/lifecycle.ts';
import { addPageFlags, asNumber, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { describe, historyAfter } from './history.ts';
import { readJson } from './json.ts';
import type { Output } from './output.ts';
import { openSession, type Streams, TIME_LIMIT } from './session.ts';
import { showTask } from './show-task.ts';
import { addTaskChangeCommands } from './task-changes.ts';
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

const TYPE_WIDTH = Math.max(...EVENT_TYPES.map((type) => type.length));

interface ListFlags extends FilterFlags, PageFlags {
  orderBy?: 'created_at' | 'deadline';
}

interface CreateFlags {
  file?: string;
  notBefore?: string;
  idempotencyKey?: string;
}

/** Adds `biolayer tasks`. */
export function addTaskCommands(program: Command, streams: Streams): void {
  const tasks = program.command('tasks').description('tasks');
  tasks
    .command('create')
    .description('create a task from JSON, the body of POST /v1/tasks')
    .option('--file <file>', 'file with the JSON (default: stdin)')
    .option('--not-before <time>', 'RFC 3339: not offered before; replaces that of the JSON')
    .option('--idempotency-key <key>', 'repeating the command with this key creates no second task')
    .action(async (flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const body = await readJson<CreateTaskBody>(flags.file, streams);
      const { idempotencyKey, notBefore: not_before } = flags;
      const whole = not_before === undefined ? body : { ...body, not_before };
      showTask(out, await api.tasks.create(whole, { idempotencyKey }));
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
  addTaskChangeCommands(tasks, streams);
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
