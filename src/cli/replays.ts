// `biolayer webhooks replays`: sends the events of a period to an endpoint again.

import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { REPLAY_CHOICES } from '../state/webhooks/replay.ts';
import type { Client } from './client.ts';
import { endpointPath } from './endpoints.ts';
import { addPageFlags, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';
import { listAt, textAt } from './value.ts';

const FIELDS = [
  'replay_id',
  'endpoint_id',
  'status',
  'reason',
  'deliveries',
  'since',
  'until',
  'reached_at',
  'examined',
  'sent',
  'succeeded',
  'failed',
  'created_at',
  'finished_at',
];
const COLUMNS = ['replay_id', 'status', 'deliveries', 'since', 'until', 'sent', 'succeeded', 'failed'];

/** Interval at which `--wait` polls the replay, ms. */
const POLL_EVERY = 1000;

interface StartFlags {
  since: string;
  until?: string;
  deliveries?: string;
  idempotencyKey?: string;
  wait?: true;
}

/** Adds `biolayer webhooks replays`. */
export function addReplayCommands(webhooks: Command, streams: Streams): void {
  const replays = webhooks.command('replays').description('replays of events to an endpoint');
  replays
    .command('start')
    .description('send the events of a period to an endpoint again')
    .argument('<endpoint_id>')
    .requiredOption('--since <time>', 'RFC 3339: events from then on')
    .option('--until <time>', 'RFC 3339: events before then (default: now)')
    .addOption(
      new Option('--deliveries <which>', 'which deliveries to repeat (default: failed)').choices(
        REPLAY_CHOICES,
      ),
    )
    .option('--idempotency-key <key>', 'repeating the command with this key starts no second replay')
    .option('--wait', 'wait until it has ended')
    .action(async (endpointId: string, flags: StartFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { since, until, deliveries, idempotencyKey: key, wait } = flags;
      const begun = await api.send('POST', `${endpointPath(endpointId)}/replay`, {
        body: givenOnly({ since, until, deliveries }),
        headers: key === undefined ? undefined : { 'Idempotency-Key': key },
      });
      const path = replayPath(endpointId, textAt(begun, 'replay_id'));
      const replay = wait ? await endOf(api, path) : begun;
      out.answer(replay, () => out.record(replay, FIELDS));
    });
  replays
    .command('get')
    .description('show the progress of a replay')
    .argument('<endpoint_id>')
    .argument('<replay_id>')
    .option('--wait', 'wait until it has ended')
    .action(async (endpointId: string, replayId: string, { wait }: { wait?: true }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const path = replayPath(endpointId, replayId);
      const replay = await (wait ? endOf(api, path) : api.send('GET', path));
      out.answer(replay, () => out.record(replay, FIELDS));
    });
  addPageFlags(replays.command('list'))
    .description('list the replays to an endpoint')
    .argument('<endpoint_id>')
    .action(async (endpointId: string, flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const query = pageQuery(flags);
      const page = await api.send('GET', `${endpointPath(endpointId)}/replays`, { query });
      showPage(out, page, listAt(page, 'data'), COLUMNS);
    });
  replays
    .command('cancel')
    .description('cancel a replay')
    .argument('<endpoint_id>')
    .argument('<replay_id>')
    .action(async (endpointId: string, replayId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const replay = await api.send('POST', `${replayPath(endpointId, replayId)}/cancel`);
      out.answer(replay, () => out.record(replay, FIELDS));
    });
}

function replayPath(endpointId: string, replayId: string): string {
  return `${endpointPath(endpointId)}/replays/${encodeURIComponent(replayId)}`;
}

/** Polls a replay until it has ended. */
async function endOf(api: Client, path: string): Promise<unknown> {
  for (;;) {
    const replay = await api.send('GET', path);
    if (textAt(replay, 'status') !== 'running') return replay;
    await sleep(POLL_EVERY);
  }
}
