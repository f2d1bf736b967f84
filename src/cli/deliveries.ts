// `biolayer webhooks deliveries`: lists deliveries and repeats them.

import { type Command, Option } from 'commander';
import { UsageError } from './faults.ts';
import { addPageFlags, collect, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import type { Output } from './output.ts';
import { openSession, type Streams } from './session.ts';
import { at, listAt, textAt } from './value.ts';

const COLUMNS = ['delivery_id', 'status', 'attempts', 'last', 'event_type', 'created_at', 'url'];
const FIELDS = ['delivery_id', 'status', 'event_type', 'event_id', 'task_id', 'url', 'next_attempt_at'];

interface ListFlags extends PageFlags {
  task?: string;
  endpoint?: string;
  status?: ('pending' | 'succeeded' | 'exhausted' | 'stopped')[];
}

/** Adds `biolayer webhooks deliveries`. */
export function addDeliveryCommands(webhooks: Command, streams: Streams): void {
  const deliveries = webhooks.command('deliveries').description('deliveries of events');
  addPageFlags(deliveries.command('list'))
    .description('list the deliveries of a task, or to an endpoint')
    .option('--task <task_id>')
    .option('--endpoint <endpoint_id>')
    .addOption(
      new Option('--status <status>', 'pending, succeeded, exhausted, stopped; repeatable').argParser(
        collect,
      ),
    )
    .action(async (flags: ListFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { task, endpoint, status } = flags;
      const query = givenOnly({ status, ...pageQuery(flags) });
      if (task !== undefined && endpoint === undefined)
        showDeliveries(out, await api.tasks.listDeliveries(task, query));
      else if (endpoint !== undefined && task === undefined)
        showDeliveries(out, await api.webhookEndpoints.listDeliveries(endpoint, query));
      else throw new UsageError('Pass either --task or --endpoint.');
    });
  addPageFlags(deliveries.command('dead-letters'))
    .description('list deliveries that were given up')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      showDeliveries(out, await api.deliveries.listDeadLetters(pageQuery(flags)));
    });
  deliveries
    .command('redeliver')
    .description('repeat a delivery now, whatever its status')
    .argument('<delivery_id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const delivery = await api.deliveries.redeliver(id);
      out.answer(delivery, () => out.record(delivery, FIELDS));
    });
}

/** Prints a page of deliveries; the table has the number of attempts and the result of the last one. */
function showDeliveries(out: Output, page: unknown): void {
  const rows = listAt(page, 'data').map((delivery) => {
    const attempts = listAt(delivery, 'attempts');
    const last = attempts.at(-1);
    return typeof delivery === 'object' && delivery !== null
      ? { ...delivery, attempts: attempts.length, last: outcomeOf(last) }
      : delivery;
  });
  showPage(out, page, COLUMNS, rows);
}

/** The result of an attempt: the status of the response, or the error class. */
function outcomeOf(attempt: unknown): string {
  const status = at(attempt, 'status');
  return typeof status === 'number' ? String(status) : textAt(attempt, 'error_class');
}
