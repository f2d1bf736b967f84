// `biolayer workers`: workers and their tokens.

import type { Worker } from '@biolayer/sdk';
import { type Command, Option } from 'commander';
import { asSeconds } from './durations.ts';
import { addPageFlags, asNumber, collect, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';

interface CreateFlags {
  name: string;
  workerId?: string;
  pool?: string[];
  skill?: string[];
  certification?: string[];
  trustLevel?: number;
  rating?: number;
  capacity?: number;
  availability?: Worker['availability'];
}

interface ListFlags extends PageFlags {
  idle?: number;
  availability?: Worker['availability'][];
  pool?: string[];
  atCapacity?: true;
}

/** Adds `biolayer workers`. */
export function addWorkerCommands(program: Command, streams: Streams): void {
  const workers = program.command('workers').description('workers, the people who do tasks');
  workers
    .command('create')
    .description('create a worker')
    .requiredOption('--name <name>')
    .option('--worker-id <id>', 'id of the worker (default: generated)')
    .option('--pool <pool_id>', 'pools they belong to; repeatable', collect)
    .option('--skill <skill>', 'repeatable', collect)
    .option('--certification <certification>', 'repeatable', collect)
    .option('--trust-level <n>', '0 to 5', asNumber)
    .option('--rating <n>', '0 to 5', asNumber)
    .option('--capacity <n>', 'most tasks at the same time', asNumber)
    .addOption(new Option('--availability <state>').choices(['available', 'away', 'offline']))
    .action(async (flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const worker = await api.workers.create(
        givenOnly({
          worker_id: flags.workerId,
          name: flags.name,
          pool_ids: flags.pool,
          skills: flags.skill,
          certifications: flags.certification,
          trust_level: flags.trustLevel,
          rating: flags.rating,
          capacity: flags.capacity,
          availability: flags.availability,
        }),
      );
      out.answer(worker, () =>
        out.record(worker, [
          'worker_id',
          'name',
          'pool_ids',
          'skills',
          'certifications',
          'trust_level',
          'rating',
          'capacity',
          'availability',
        ]),
      );
    });
  addPageFlags(workers.command('list'))
    .description('list workers')
    .option('--idle <duration>', 'without a task for at least this long, such as 10m', asSeconds)
    .option('--availability <state>', 'available, away or offline; repeatable', collect)
    .option('--pool <pool_id>', 'repeatable', collect)
    .option('--at-capacity', 'who cannot take another task')
    .action(async (flags: ListFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { idle, availability, pool, atCapacity } = flags;
      const page = await api.workers.list(
        givenOnly({
          ...{ availability, pool },
          idle_for_seconds: idle,
          at_capacity: atCapacity,
          ...pageQuery(flags),
        }),
      );
      const fields = [
        ...['worker_id', 'availability', 'active_tasks', 'capacity', 'rating'],
        ...['last_seen_at', 'name', 'pool_ids'],
      ];
      showPage(out, page, fields);
    });
  workers
    .command('token')
    .description('create a token for a worker; it is shown only once')
    .argument('<worker_id>')
    .action(async (workerId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const token = await api.workers.createToken(workerId);
      out.answer(token, () => out.record(token, ['token']));
    });
}
