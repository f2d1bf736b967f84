// `biolayer workers`: workers, their tokens, and how they sign in.

import type { UpdateWorkerRequest, Worker } from '@biolayer/sdk';
import { type Command, Option } from 'commander';
import { asSeconds } from './durations.ts';
import { addPageFlags, asNumber, collect, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';
import { addSessionCommands } from './session-commands.ts';

const FIELDS = [
  'worker_id',
  'name',
  'pool_ids',
  'skills',
  'certifications',
  'trust_level',
  'rating',
  'capacity',
  'availability',
];
const DETAILS = [
  ...FIELDS,
  'draining',
  'active_tasks',
  'acceptance_rate',
  'lapse_rate',
  'accuracy',
  'last_seen_at',
];
const AVAILABILITIES = ['available', 'away', 'offline'] as const;

interface ProfileFlags {
  name?: string;
  pool?: string[];
  skill?: string[];
  certification?: string[];
  trustLevel?: number;
  rating?: number;
  capacity?: number;
  availability?: Worker['availability'];
}

interface CreateFlags extends ProfileFlags {
  name: string;
  workerId?: string;
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
  addProfileFlags(workers.command('create'))
    .description('create a worker, who is available unless said otherwise')
    .requiredOption('--name <name>')
    .option('--worker-id <id>', 'id of the worker (default: generated)')
    .action(async (flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const { workerId: worker_id, name } = flags;
      const worker = await api.workers.create({
        availability: 'available',
        ...givenOnly({ worker_id, name }),
        ...profileOf(flags),
      });
      out.answer(worker, () => out.record(worker, FIELDS));
    });
  workers
    .command('get')
    .description('show a worker')
    .argument('<worker_id>')
    .action(async (workerId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const worker = await api.workers.get(workerId);
      out.answer(worker, () => out.record(worker, DETAILS));
    });
  addProfileFlags(workers.command('update'))
    .description('change a worker; a list replaces the one before, and an empty one clears it')
    .argument('<worker_id>')
    .option('--name <name>')
    .action(async (workerId: string, flags: ProfileFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const worker = await api.workers.update(workerId, profileOf(flags));
      out.answer(worker, () => out.record(worker, DETAILS));
    });
  workers
    .command('drain')
    .description('let a worker finish their tasks, offer them nothing new, then set them offline')
    .argument('<worker_id>')
    .action(async (workerId: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const worker = await api.workers.drain(workerId);
      out.answer(worker, () => out.record(worker, DETAILS));
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
  workers
    .command('sign-in-link')
    .description('create a link that signs a worker in to the portal, once; it is shown only once')
    .argument('<worker_id>')
    .option('--expires-in <duration>', 'how long it may be used, such as 1h (default: 15m)', asSeconds)
    .action(async (workerId: string, flags: { expiresIn?: number }, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const body = givenOnly({ expires_in_seconds: flags.expiresIn });
      const link = await api.workers.createSignInLink(workerId, body);
      out.answer(link, () => out.record(link, ['url', 'expires_at']));
    });
  addSessionCommands(workers, 'worker', 'their tokens', streams);
}

function addProfileFlags(command: Command): Command {
  return command
    .option('--pool <pool_id>', 'pools they belong to; repeatable', collect)
    .option('--skill <skill>', 'repeatable', collect)
    .option('--certification <certification>', 'repeatable', collect)
    .option('--trust-level <n>', '0 to 5', asNumber)
    .option('--rating <n>', '0 to 5', asNumber)
    .option('--capacity <n>', 'most tasks at the same time', asNumber)
    .addOption(new Option('--availability <state>').choices(AVAILABILITIES));
}

/** The fields that were given. */
function profileOf(flags: ProfileFlags): UpdateWorkerRequest {
  const { name, pool, skill, certification, trustLevel, rating, capacity, availability } = flags;
  return givenOnly({
    ...{ name, rating, capacity, availability },
    pool_ids: pool,
    skills: skill,
    certifications: certification,
    trust_level: trustLevel,
  });
}
