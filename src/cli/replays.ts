// `biolayer webhooks replays`: sends the events of a period to an endpoint again.

import { setTimeout as sleep } from 'node:timers/promises';
import type { BioLayer, Replay } from '@biolayer/sdk';
import { type Command, Option } from 'commander';
import { REPLAY_CHOICES } from '../state/webhooks/replay.ts';
import { addPageFlags, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';

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
  deliveries?: Replay['deliveries'];
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
      const body = givenOnly({ since, until, deliveries });
      const begun = await api.webhookEndpoints.startReplay(endpointId, body, { idempotencyKey: key });
      const replay = wait ? await endOf(api, begun) : begun;
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
      const now = await api.webhookEndpoints.getReplay(endpointId, replayId);
      const replay = wait ? await endOf(api, now) : now;
      out.answer(replay, () => out.record(replay, FIELDS));
    });
  addPageFlags(replays.command('list'))
    .description('list the replays to an endpoint')
    .argument('<endpoint_id>')
    .action(async (endpointId: string, flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.webhookEndpoints.listReplays(endpointId, pageQuery(flags));
      showPage(out, page, COLUMNS);
    });
  replays
    .command('cancel')
    .description('cancel a replay')
    .argument('<endpoint_id>')
    .argument('<replay_id>')
    .action(async (endpointId: string, replayId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const replay = await api.webhookEndpoints.cancelReplay(endpointId, replayId);
      out.answer(replay, () => out.record(replay, FIELDS));
    });
}

/** Polls a replay until it has ended. */
async function endOf(api: BioLayer, replay: Replay): Promise<Replay> {
  while (replay.status === 'running') {
    await sleep(POLL_EVERY);
    replay = await api.webhookEndpoints.getReplay(replay.endpoint_id, replay.replay_id);
  }
  return replay;
}
