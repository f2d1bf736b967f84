// `biolayer pools`: groups of workers that tasks can ask for.

import { type Command, Option } from 'commander';
import { addPageFlags, asNumber, givenOnly, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';
import { listAt } from './value.ts';

const FIELDS = ['pool_id', 'name', 'offer_mode', 'broadcast_size', 'offer_ttl_seconds'];

interface CreateFlags {
  name: string;
  poolId?: string;
  offerMode?: string;
  broadcastSize?: number;
  offerTtl?: number;
}

export function addPoolCommands(program: Command, streams: Streams): void {
  const pools = program.command('pools').description('groups of workers');
  pools
    .command('create')
    .description('create a pool')
    .requiredOption('--name <name>')
    .option('--pool-id <id>', 'an id of your own choice')
    .addOption(
      new Option('--offer-mode <mode>', 'one worker at a time or several').choices([
        'sequential',
        'broadcast',
      ]),
    )
    .option('--broadcast-size <n>', 'how many are asked at once', asNumber)
    .option('--offer-ttl <seconds>', 'life of an offer', asNumber)
    .action(async (flags: CreateFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const pool = await api.send('POST', '/v1/pools', {
        body: givenOnly({
          pool_id: flags.poolId,
          name: flags.name,
          offer_mode: flags.offerMode,
          broadcast_size: flags.broadcastSize,
          offer_ttl_seconds: flags.offerTtl,
        }),
      });
      out.answer(pool, () => out.record(pool, FIELDS));
    });
  addPageFlags(pools.command('list'))
    .description('list pools')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams);
      const page = await api.send('GET', '/v1/pools', { query: pageQuery(flags) });
      showPage(out, page, listAt(page, 'data'), FIELDS);
    });
}
