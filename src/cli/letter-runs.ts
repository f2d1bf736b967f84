// `biolayer webhooks redeliveries` and `biolayer webhooks stops`: many deliveries are sent again, or stopped, in the background.

import { setTimeout as sleep } from 'node:timers/promises';
import type { BioLayer, DeliveryStop, Redelivery } from '@biolayer/sdk';
import type { Command } from 'commander';
import { addPageFlags, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';

/** Interval at which `--wait` polls the run, ms. */
const POLL_EVERY = 1000;
const CHOICE = ['callback_url', 'endpoint_id', 'status', 'since', 'until'];
const TIMES = ['created_at', 'finished_at', 'hint'];

interface StartFlags {
  callbackUrl?: string;
  endpoint?: string;
  since?: string;
  until?: string;
  idempotencyKey?: string;
  wait?: true;
}

type Body = { callback_url?: string; endpoint_id?: string; since?: string; until?: string };

/** One of the two kinds of runs: its words, fields and requests. */
interface Kind<R extends { status: string }> {
  noun: string;
  group: string;
  start: string;
  /** What happens to those that a cancelled run has not reached. */
  rest: string;
  fields: string[];
  columns: string[];
  idOf(run: R): string;
  begin(api: BioLayer, body: Body, options: { idempotencyKey: string | undefined }): Promise<R>;
  get(api: BioLayer, id: string): Promise<R>;
  list(api: BioLayer, query: PageFlags): PromiseLike<unknown>;
  cancel(api: BioLayer, id: string): Promise<R>;
}

const REDELIVERIES: Kind<Redelivery> = {
  noun: 'redelivery',
  group: 'redeliveries of deliveries that were given up',
  start: 'send deliveries that were given up again',
  rest: 'the rest is not sent',
  fields: ['redelivery_id', ...CHOICE, 'reached_at', 'examined', 'sent', 'succeeded', 'failed', ...TIMES],
  columns: ['redelivery_id', ...CHOICE.slice(0, 3), 'sent', 'succeeded', 'failed', 'created_at'],
  idOf: (run) => run.redelivery_id,
  begin: (api, body, options) => api.deliveries.redeliverDeadLetters(body, options),
  get: (api, id) => api.deliveries.getRedelivery(id),
  list: (api, query) => api.deliveries.listRedeliveries(query),
  cancel: (api, id) => api.deliveries.cancelRedelivery(id),
};

const STOPS: Kind<DeliveryStop> = {
  noun: 'stop',
  group: 'runs that stop pending deliveries',
  start: 'stop the pending deliveries of a callback URL or an endpoint',
  rest: 'the rest is sent as usual',
  fields: ['stop_id', ...CHOICE, 'examined', 'stopped', ...TIMES],
  columns: ['stop_id', ...CHOICE.slice(0, 3), 'stopped', 'created_at'],
  idOf: (run) => run.stop_id,
  begin: (api, body, options) => api.deliveries.stop(body, options),
  get: (api, id) => api.deliveries.getStop(id),
  list: (api, query) => api.deliveries.listStops(query),
  cancel: (api, id) => api.deliveries.cancelStop(id),
};

/** Adds both groups of commands. */
export function addLetterRunCommands(webhooks: Command, streams: Streams): void {
  addKind(webhooks.command('redeliveries'), streams, REDELIVERIES);
  addKind(webhooks.command('stops'), streams, STOPS);
}

function addKind<R extends { status: string }>(group: Command, streams: Streams, kind: Kind<R>): void {
  const { noun, fields } = kind;
  const id = `<${fields[0]}>`;
  group.description(kind.group);
  group
    .command('start')
    .description(kind.start)
    .option('--callback-url <url>', 'those to this callback URL of tasks')
    .option('--endpoint <endpoint_id>', 'those to this endpoint')
    .option('--since <time>', 'RFC 3339: events from then on (default: all)')
    .option('--until <time>', 'RFC 3339: events before then (default: now)')
    .option('--idempotency-key <key>', `repeating the command with this key starts no second ${noun}`)
    .option('--wait', 'wait until it has ended')
    .action(async (flags: StartFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { callbackUrl: callback_url, endpoint: endpoint_id, since, until, idempotencyKey } = flags;
      const body = givenOnly({ callback_url, endpoint_id, since, until });
      const begun = await kind.begin(api, body, { idempotencyKey });
      const run = flags.wait ? await endOf(api, kind, begun) : begun;
      out.answer(run, () => out.record(run, fields));
    });
  group
    .command('get')
    .description(`show the progress of a ${noun}`)
    .argument(id)
    .option('--wait', 'wait until it has ended')
    .action(async (runId: string, { wait }: { wait?: true }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const now = await kind.get(api, runId);
      const run = wait ? await endOf(api, kind, now) : now;
      out.answer(run, () => out.record(run, fields));
    });
  addPageFlags(group.command('list'))
    .description(`list them, running and ended`)
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      showPage(out, await kind.list(api, pageQuery(flags)), kind.columns);
    });
  group
    .command('cancel')
    .description(`cancel a ${noun}: ${kind.rest}`)
    .argument(id)
    .action(async (runId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const run = await kind.cancel(api, runId);
      out.answer(run, () => out.record(run, fields));
    });
}

/** Polls a run until it has ended. */
async function endOf<R extends { status: string }>(api: BioLayer, kind: Kind<R>, run: R): Promise<R> {
  let now = run;
  while (now.status === 'running') {
    await sleep(POLL_EVERY);
    now = await kind.get(api, kind.idOf(run));
  }
  return now;
}
