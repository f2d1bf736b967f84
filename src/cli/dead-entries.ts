// `biolayer dead-entries`: entries and records that could not be processed, for the operator.

import type { Command } from 'commander';
import { UsageError } from './faults.ts';
import { addPageFlags, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';
import { at, listAt, textAt } from './value.ts';

const COLUMNS = ['entry_id', 'kind', 'at', 'reason', 'name'];

/** Adds `biolayer dead-entries`. */
export function addDeadEntryCommands(program: Command, streams: Streams): void {
  const entries = program
    .command('dead-entries')
    .description('entries and records that could not be processed, for the operator');
  addPageFlags(entries.command('list'))
    .description('list dead entries with their reasons')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const { limit, cursor } = pageQuery(flags);
      const page = await api.send('GET', '/admin/dead-entries', { query: { limit, cursor } });
      showPage(out, page, listAt(page, 'data'), COLUMNS);
    });
  entries
    .command('replay')
    .description('process an entry again; it becomes a dead entry again if that fails')
    .argument('[entry_id]')
    .option('--all', 'all current dead entries')
    .action(async (id: string | undefined, flags: { all?: true }, command: Command) => {
      if ((id === undefined) === (flags.all === undefined))
        throw new UsageError('Pass either an entry id or --all.');
      const { api, out } = await openSession(command, streams, 'operator');
      let replayed = 0;
      if (id !== undefined) {
        await api.send('POST', `/admin/dead-entries/${encodeURIComponent(id)}/replay`);
        replayed = 1;
      } else
        for (let body = {}; ; ) {
          const step = await api.send('POST', '/admin/dead-entries/replay', { body });
          replayed += Number(at(step, 'replayed'));
          if (at(step, 'next_cursor') === null) break;
          body = { cursor: textAt(step, 'next_cursor') };
        }
      const done = { replayed };
      out.answer(done, () => out.record(done, ['replayed']));
    });
  entries
    .command('discard')
    .description('delete an entry for good')
    .argument('<entry_id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      await api.send('DELETE', `/admin/dead-entries/${encodeURIComponent(id)}`);
      const done = { discarded: id };
      out.answer(done, () => out.record(done, ['discarded']));
    });
}
