// `biolayer events`: the events of the org, from the feed or as they happen.

import type { FeedEventPage, FeedEventType } from '@biolayer/sdk';
import { type Command, Option } from 'commander';
import { EVENT_TYPES } from '../state/tasks/lifecycle.ts';
import { asSeconds } from './durations.ts';
import { UsageError } from './faults.ts';
import { asNumber, collect, givenOnly, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';

type FeedEvent = FeedEventPage['data'][number];

interface EventFlags {
  type?: FeedEventType[];
  since?: string;
  until?: string;
  limit?: number;
  cursor?: string;
  follow?: true;
  after?: string;
  for?: number;
}

const COLUMNS = ['at', 'type', 'task_id', 'status', 'actor'];
const TYPE_WIDTH = Math.max(...EVENT_TYPES.map((type) => type.length));

/** Adds `biolayer events`. */
export function addEventCommands(program: Command, streams: Streams): void {
  program
    .command('events')
    .description('list the events of the org, oldest first, or follow them')
    .addOption(new Option('--type <type>', 'such as task.completed; repeatable').argParser(collect))
    .option('--since <time>', 'RFC 3339: events from then on')
    .option('--until <time>', 'RFC 3339: events before then')
    .option('--limit <n>', 'page size, 1 to 200 (API default: 50)', asNumber)
    .option('--cursor <cursor>', 'continue after another page')
    .option('--follow', 'print events as they happen; with --json one document per line')
    .option('--after <id>', 'with --follow: start after this id of an earlier line')
    .option('--for <duration>', 'with --follow: stop after this time, such as 10m', asSeconds)
    .action(async (flags: EventFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { type: types, since, until, limit, cursor, follow, after: lastEventId, for: seconds } = flags;
      if (!follow) {
        if (lastEventId !== undefined || seconds !== undefined)
          throw new UsageError('--after and --for need --follow.');
        const page = await api.events.list(givenOnly({ types, since, until, limit, cursor }));
        return showPage(out, page, COLUMNS);
      }
      if (since !== undefined || until !== undefined)
        throw new UsageError('--since and --until do not go with --follow.');
      // A stream connects again for as long as it takes, so a wrong URL or key is reported here.
      await api.events.list({ limit: 1 });
      const signal = seconds === undefined ? undefined : AbortSignal.timeout(seconds * 1000);
      for await (const event of api.events.stream(givenOnly({ types, cursor }), { lastEventId, signal }))
        out.item(event, cellsOf(event.data));
    });
}

function cellsOf(event: FeedEvent): string[] {
  const about = 'task_id' in event ? [event.task_id, event.status] : [];
  return [event.at, event.type.padEnd(TYPE_WIDTH), ...about];
}
