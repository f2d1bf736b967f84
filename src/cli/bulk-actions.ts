// `biolayer bulk-actions`: changes many tasks in the background.

import { setTimeout as sleep } from 'node:timers/promises';
import type { BioLayer, BulkAction, CreateBulkActionRequest, TaskUpdate } from '@biolayer/sdk';
import { Argument, type Command } from 'commander';
import { ACTIONS } from '../state/bulk/bulk-action.ts';
import { addPageFlags, asNumber, collect, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { parseJson } from './json.ts';
import type { Output } from './output.ts';
import { openSession, type Streams } from './session.ts';
import { addFilterFlags, type FilterFlags, filtersOf } from './task-filters.ts';
import { listAt } from './value.ts';

const FIELDS = [
  'bulk_action_id',
  'action',
  'status',
  'reason',
  'total',
  'matched',
  'done',
  'failed',
  'skipped',
  'created_by',
  'created_at',
  'finished_at',
];
const COLUMNS = ['bulk_action_id', 'action', 'status', 'total', 'done', 'failed', 'skipped', 'created_at'];

/** Interval at which `--wait` polls the bulk action, ms. */
const POLL_EVERY = 1000;

interface CreateFlags extends FilterFlags {
  taskId?: string[];
  reason?: string;
  changes?: string;
  feedback?: string;
  rating?: number;
  dryRun?: true;
  idempotencyKey?: string;
  wait?: true;
}

/** Adds `biolayer bulk-actions`. */
export function addBulkActionCommands(program: Command, streams: Streams): void {
  const bulk = program.command('bulk-actions').description('one change for many tasks, in the background');
  addFilterFlags(bulk.command('create'))
    .description('change the tasks that match the filters, or those named with --task-id')
    .addArgument(new Argument('<action>').choices(ACTIONS))
    .option('--task-id <task_id>', 'repeatable, accepts comma-separated lists', collect)
    .option('--reason <text>', 'of cancel (optional) and requeue')
    .option('--changes <json>', 'of update: the body of PATCH /v1/tasks/{task_id}')
    .option('--feedback <text>', 'of reject and approve (optional)')
    .option('--rating <rating>', 'of approve and reject: 1 to 5 (optional)', asNumber)
    .option('--dry-run', 'only count the tasks')
    .option('--idempotency-key <key>', 'repeating the command with this key starts no second bulk action')
    .option('--wait', 'wait until it has ended')
    .action(async (action: BulkAction['action'], flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { reason, feedback, rating, dryRun: dry_run, idempotencyKey: key } = flags;
      const filter = givenOnly(filtersOf(flags));
      // Which fields go with which action is for the API to say.
      const body = givenOnly({
        ...{ action, reason, feedback, rating, dry_run },
        task_ids: flags.taskId,
        changes: flags.changes === undefined ? undefined : parseJson<TaskUpdate>(flags.changes, '--changes'),
        filter: Object.keys(filter).length > 0 ? filter : undefined,
      }) as CreateBulkActionRequest;
      const created = await api.bulkActions.create(body, { idempotencyKey: key });
      if ('bulk_action_id' in created) show(out, flags.wait ? await endOf(api, created) : created);
      else out.answer(created, () => out.record(created, ['matched', 'is_exact']));
    });
  bulk
    .command('get')
    .description('show the progress of a bulk action, and the tasks that refused')
    .argument('<bulk_action_id>')
    .option('--wait', 'wait until it has ended')
    .action(async (id: string, { wait }: { wait?: true }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const bulkAction = await api.bulkActions.get(id);
      show(out, wait ? await endOf(api, bulkAction) : bulkAction);
    });
  addPageFlags(bulk.command('list'))
    .description('list bulk actions')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.bulkActions.list(pageQuery(flags));
      showPage(out, page, COLUMNS);
    });
  bulk
    .command('cancel')
    .description('stop a bulk action; tasks that were changed stay as they are')
    .argument('<bulk_action_id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      show(out, await api.bulkActions.cancel(id));
    });
}

function show(out: Output, bulk: unknown): void {
  out.answer(bulk, () => {
    out.record(bulk, FIELDS);
    const failures = listAt(bulk, 'failures');
    if (failures.length > 0) out.table(failures, ['task_id', 'code', 'detail']);
  });
}

/** Polls a bulk action until it has ended. */
async function endOf(api: BioLayer, bulk: BulkAction): Promise<BulkAction> {
  while (bulk.status === 'pending' || bulk.status === 'running') {
    await sleep(POLL_EVERY);
    bulk = await api.bulkActions.get(bulk.bulk_action_id);
  }
  return bulk;
}
