// `biolayer pools`: groups of workers that tasks can require.

import { type Command, Option } from 'commander';
import { addPageFlags, asNumber, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';

const FIELDS = ['pool_id', 'name', 'offer_mode', 'broadcast_size', 'offer_ttl_seconds'];

interface CreateFlags {
  name: string;
  poolId?: string;
  offerMode?: 'sequential' | 'broadcast';
  broadcastSize?: number;
  offerTtl?: number;
}

/** Adds `biolayer pools`. */
export function addPoolCommands(program: Command, streams: Streams): void {
  const pools = program.command('pools').description('groups of workers');
  pools
    .command('create')
    .description('create a pool')
    .requiredOption('--name <name>')
    .option('--pool-id <id>', 'id of the pool (default: generated)')
    .addOption(
      new Option('--offer-mode <mode>', 'offer a task to one worker at a time, or to several').choices([
        'sequential',
        'broadcast',
      ]),
    )
    .option('--broadcast-size <n>', 'number of workers to whom a task is offered at the same time', asNumber)
    .option('--offer-ttl <seconds>', 'how long an offer is valid', asNumber)
    .action(async (flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const pool = await api.pools.create(
        givenOnly({
          pool_id: flags.poolId,
          name: flags.name,
          offer_mode: flags.offerMode,
          broadcast_size: flags.broadcastSize,
          offer_ttl_seconds: flags.offerTtl,
        }),
      );
      out.answer(pool, () => out.record(pool, FIELDS));
    });
  addPageFlags(pools.command('list'))
    .description('list pools')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.pools.list(pageQuery(flags));
      showPage(out, page, FIELDS);
    });
}
