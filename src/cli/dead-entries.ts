// `biolayer dead-entries`: what was set aside since it cannot be used, for the operator.

import type { Command } from 'commander';
import { UsageError } from './faults.ts';
import { addPageFlags, type PageFlags, pageQuery, showPage } from './flags.ts';
import { openSession, type Streams } from './session.ts';
import { at, listAt, textAt } from './value.ts';

const COLUMNS = ['entry_id', 'kind', 'at', 'reason', 'name'];

export function addDeadEntryCommands(program: Command, streams: Streams): void {
  const entries = program
    .command('dead-entries')
    .description('what was set aside since it cannot be used, for the operator');
  addPageFlags(entries.command('list'))
    .description('list what was set aside, and why')
    .action(async (flags: PageFlags, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      const { limit, cursor } = pageQuery(flags);
      const page = await api.send('GET', '/admin/dead-entries', { query: { limit, cursor } });
      showPage(out, page, listAt(page, 'data'), COLUMNS);
    });
  entries
    .command('replay')
    .description('give an entry back to where it came from; what still cannot be used comes back')
    .argument('[entry_id]')
    .option('--all', 'all that are there now')
    .action(async (id: string | undefined, flags: { all?: true }, command: Command) => {
      if ((id === undefined) === (flags.all === undefined))
        throw new UsageError('Name either an entry or --all.');
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
    .description('throw an entry away for good')
    .argument('<entry_id>')
    .action(async (id: string, _flags: unknown, command: Command) => {
      const { api, out } = await openSession(command, streams, 'operator');
      await api.send('DELETE', `/admin/dead-entries/${encodeURIComponent(id)}`);
      const done = { discarded: id };
      out.answer(done, () => out.record(done, ['discarded']));
    });
}
